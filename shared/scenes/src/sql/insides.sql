-- Positions in zones, those of half a tolerated absence as one row, since they are of one stay; and so whole seconds. A zone's
-- parts are trapezoids that overlap nowhere; a border belongs to what is right of it or below.
SELECT p.element, p.track_id, MIN(p.frame_index) AS first_frame, MAX(p.frame_index) AS last_frame,
       MIN(p.time_s) AS first_s, MAX(p.time_s) AS last_s, COUNT(*) AS frames
FROM (
  SELECT b.element, t.track_id, t.frame_index, t.time_s,
         CASE
           WHEN b.absence_s > 0 THEN CAST(FLOOR(t.time_s * 2 / b.absence_s) AS BIGINT)
           ELSE t.frame_index
         END AS slot,
         t.x1 * b.of_x1 + t.x2 * b.of_x2 AS x, t.y1 * b.of_y1 + t.y2 * b.of_y2 AS y
  FROM (
    SELECT * FROM {tracks}
  ) AS t
  JOIN {zone_seconds} AS b
    ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.second = CAST(FLOOR(t.time_s) AS BIGINT)
  WHERE b.enclosed = 0
) AS p
JOIN {parts} AS z ON z.element = p.element
WHERE p.y >= z.lo_y AND p.y < z.hi_y AND p.x >= z.lo_x AND p.x <= z.hi_x
  AND (z.zx - z.ax) * (p.y - z.ay) - (z.zy - z.ay) * (p.x - z.ax) <= 0
  AND (z.right_zx - z.right_ax) * (p.y - z.right_ay) - (z.right_zy - z.right_ay) * (p.x - z.right_ax) > 0
GROUP BY p.element, p.track_id, p.slot
UNION ALL
SELECT element, track_id, first_frame, last_frame, first_s, last_s, frames
FROM {zone_seconds}
WHERE enclosed = 1
