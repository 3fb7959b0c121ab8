-- Which requests a scene is asked of, and by how much their pictures differ in size from the one that it was drawn on.
SELECT ROW_NUMBER() OVER (ORDER BY s.scene, r.request_id) AS pick, s.scene, r.request_id, r.video, r.uploaded_at,
       s.width_px / r.width_px AS sx, s.height_px / r.height_px AS sy,
       s.hysteresis, s.absence_s, s.settle_s, s.interval_s, s.cell_px, s.near_distance, s.near_s,
       s.h11, s.h12, s.h13, s.h21, s.h22, s.h23, s.h31, s.h32, s.h33, s.residual_m,
       c.lo_rx, c.hi_rx, c.lo_ry, c.hi_ry
FROM (
  SELECT * FROM {scenes} WHERE kind = 'scene'
) AS s
JOIN (
  SELECT scene, MIN(ax) AS lo_rx, MAX(ax) AS hi_rx, MIN(ay) AS lo_ry, MAX(ay) AS hi_ry
  FROM {scenes}
  WHERE kind = 'reference'
  GROUP BY scene
) AS c ON c.scene = s.scene
CROSS JOIN (
  SELECT request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at,
         MAX(width_px) AS width_px, MAX(height_px) AS height_px
  FROM {requests}
  GROUP BY request_id
) AS r
WHERE REGEXP_CONTAINS(r.video, s.videos)
  AND ABS(s.width_px * r.height_px - s.height_px * r.width_px) <= GREATEST(s.width_px, s.height_px)
