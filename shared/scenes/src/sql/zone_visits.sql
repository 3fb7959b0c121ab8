SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS zone, s.track_id, s.class_name,
       v.enter_frame, v.enter_s, v.exit_frame, v.exit_s, v.exit_s - v.enter_s AS dwell_s, v.frames_inside,
       v.enter_s = s.first_s AS born_inside, v.exit_s = s.last_s AS left_scene,
       v.enter_s <= s.first_s + 1 OR v.exit_s >= s.last_s - 1 AS near_birth_or_end
FROM {stays} AS v
JOIN {subjects} AS s ON s.pick = v.pick AND s.track_id = v.track_id
JOIN {elements} AS e ON e.element = v.element
WHERE v.exit_s - v.enter_s >= s.settle_s
