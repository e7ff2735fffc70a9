"""COCO: 80 classes of objects. Its files' ids have gaps and are not these.

Lin et al.: Microsoft COCO, ECCV 2014.
"""

from __future__ import annotations

from training.data.class_set import ClassSet
from training.data.classes.build import distinct_color, table

_NAMES = (  # noqa: SIM905 (eighty lines otherwise)
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,"
    "surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,"
    "broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,"
    "mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,"
    "teddy bear,hair drier,toothbrush"
).split(",")
COCO = ClassSet(
    "coco",
    table((name, distinct_color(index + 1), True) for index, name in enumerate(_NAMES)),
    void_id=255,
)
