SELECT c.scene, c.request_id, MAX(c.video) AS video, MAX(c.uploaded_at) AS uploaded_at, c.line, c.direction, c.class_name,
       FLOOR(c.time_s / s.interval_s) * s.interval_s AS interval_start_s, COUNT(*) AS crossings,
       SUM(CASE WHEN c.near_birth_or_end THEN 1 ELSE 0 END) AS near_birth_or_end,
       AVG(CASE WHEN c.near_birth_or_end THEN 1.0 ELSE 0.0 END) AS share_near_birth_or_end
FROM {line_crossings} AS c
JOIN (
  SELECT scene, interval_s FROM {scenes} WHERE kind = 'scene'
) AS s ON s.scene = c.scene
GROUP BY c.scene, c.request_id, c.line, c.direction, c.class_name, FLOOR(c.time_s / s.interval_s) * s.interval_s
