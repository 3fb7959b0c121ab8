SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS line,
       CASE WHEN c.sign > 0 THEN e.in_name ELSE e.out_name END AS direction,
       c.track_id, s.class_name, c.frame_index, c.pts,
       c.p_time_s + (c.time_s - c.p_time_s) * c.share AS time_s,
       (c.px + (c.x - c.px) * c.share) / s.sx AS x, (c.py + (c.y - c.py) * c.share) / s.sy AS y,
       c.observed AND c.p_observed AND c.frame_index = c.p_frame + 1 AS observed,
       b.track_id IS NOT NULL AS born_on_line,
       c.p_time_s + (c.time_s - c.p_time_s) * c.share <= s.first_s + 1
         OR c.p_time_s + (c.time_s - c.p_time_s) * c.share >= s.last_s - 1 AS near_birth_or_end
FROM {crossings} AS c
JOIN {subjects} AS s ON s.pick = c.pick AND s.track_id = c.track_id
JOIN {elements} AS n ON n.pick = c.pick AND n.element = c.element
JOIN (
  SELECT scene, name, in_name, out_name FROM {scenes} WHERE kind = 'line' AND part = 0
) AS e ON e.scene = s.scene AND e.name = n.name
LEFT JOIN (
  SELECT DISTINCT n.element, n.pick, n.track_id
  FROM {nears} AS n
  JOIN {subjects} AS s ON s.pick = n.pick AND s.track_id = n.track_id AND s.first_s = n.run_first_s
) AS b ON b.element = c.element AND b.pick = c.pick AND b.track_id = c.track_id
