SELECT s.scene, s.request_id, s.video, s.uploaded_at, l.name AS line,
       CASE WHEN c.sign > 0 THEN e.in_name ELSE e.out_name END AS direction,
       c.track_id, s.class_name, c.frame_index, c.pts, c.at_s AS time_s, c.at_x / s.sx AS x, c.at_y / s.sy AS y, c.observed,
       b.track_id IS NOT NULL AS born_on_line,
       c.at_s <= s.first_s + 1 OR c.at_s >= s.last_s - 1 AS near_birth_or_end
FROM {crossings} AS c
JOIN {subjects} AS s ON s.pick = c.pick AND s.track_id = c.track_id
JOIN {elements} AS l ON l.element = c.element
JOIN (
  SELECT scene, name, in_name, out_name FROM {scenes} WHERE kind = 'line' AND part = 0
) AS e ON e.scene = s.scene AND e.name = l.name
LEFT JOIN (
  SELECT r.element, r.track_id
  FROM {nears} AS r
  JOIN {elements} AS l ON l.element = r.element
  JOIN {subjects} AS s ON s.pick = l.pick AND s.track_id = r.track_id AND s.first_s = r.first_s
) AS b ON b.element = c.element AND b.track_id = c.track_id
