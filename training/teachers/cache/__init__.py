"""A teacher's answers kept on disk, so that a big teacher sees each frame once.

With `teacher.cache` in a recipe, training first asks the teacher about every training frame that is not there
yet (`TaughtDataModule.prepare_data`; `distill-perception-train teacher fill` does the same ahead of it), then
reads the answers in the loader's workers, and the teacher does not run again:

1. `CacheReader.outputs_for(image)` finds an answer by the very array (uint8 [H,W,3], RGB, after resizing,
   before augmentation) that the teacher was asked about; entries lie in a folder named by its weights,
   settings and the student's classes (`fingerprint`).
2. `start` gives a `Trace`: where each pixel came from and the answer's boxes, which go through augmentation
   as the frame's mask and boxes do. What is padded, pasted or cut out came from nowhere.
3. `follow` gives codes uint8 [C+1,h,w] of the augmented frame at the size of the student's logits, cells that
   were answered, and the boxes that are left; collated, they are `Batch.answers`.
4. `Recall.outputs` makes log-probabilities and detection maps of them, for the losses on outputs; cells
   without an answer are not valid. Feature maps are not kept: a recipe with losses on them is refused.

The teacher has seen the whole frame without changes of light, weather, blur or scale; the student sees the
changed crop. Beyer et al. ("Knowledge distillation: A good teacher is patient and consistent", CVPR 2022,
https://arxiv.org/abs/2106.05237) call answers given ahead a fixed teacher, and find that a consistent one,
which sees what the student sees, teaches better. Here the answers follow the geometry at least; what is lost
is the answer to the changed pixels. Without `teacher.cache` the teacher is consistent, and costs a pass in
every step.

What else differs: probabilities below exp(-15.9) count as that (codes.py), which KL hardly sees, but `mse`
and `cwd` on logits do where the teacher is very sure; detection maps are drawn from boxes, also where the
teacher gave maps.
"""
