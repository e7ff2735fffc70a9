"""A teacher's answers kept on disk, so that a big teacher sees each frame once.

Training augments frames geometrically, so the cache holds the answer to the frame as it was read, and the
same geometry is applied to it as to the frame's mask and boxes. How a data pipeline uses it:

1. `cached = open_teacher(spec, class_set)` with `spec.cache` set gives a `CachedTeacher`; `fill_cache(cached,
   frames)` or `python -m training.teachers fill` asks the teacher about every frame that is not there yet.
2. In the loader's workers, `cached.reader()` answers from disk alone: `answer = reader.outputs_for(image)`
   with the very array (uint8 [H,W,3], RGB, after resizing, before augmentation) that the cache was filled by.
3. `came_from = coordinates(H, W)` goes through albumentations as one more mask: `A.Compose([...],
   additional_targets={"came_from": "mask"})(image=..., mask=..., came_from=came_from)`. Then
   `answer.follow(came_from, (H, W), size)` gives codes uint8 [C+1,*size] of the augmented frame, `size` that
   of the student's logits. `answer.boxes` go through it beside the frame's own boxes, told apart by a label
   field that holds their row, which picks the rows of `answer.scores` that are left.
4. After collation `decode_codes(codes uint8 [N,C+1,h,w], known)` gives log-probabilities and which cells hold
   an answer (padding does not), and `render_boxes` draws the boxes.

Pasting or cutting out pixels changes what the teacher would say: set `came_from` to 0 there.
"""
