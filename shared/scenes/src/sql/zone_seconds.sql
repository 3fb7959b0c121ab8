-- The seconds of tracks that come near a zone; enclosed is 1 where all positions are inside, and no absence is too long.
SELECT element, b.track_id, second, s.request_id, s.absence_s,
       s.sx * (1 - s.rx) AS of_x1, s.sx * s.rx AS of_x2, s.sy * (1 - s.ry) AS of_y1, s.sy * s.ry AS of_y2,
       first_frame, last_frame, b.first_s, b.last_s, frames,
       CASE WHEN inside = 1 AND b.last_s - b.first_s <= s.absence_s THEN 1 ELSE 0 END AS enclosed
FROM (
  SELECT z.element, b.pick, b.track_id, b.second, MIN(b.first_frame) AS first_frame, MAX(b.last_frame) AS last_frame,
         MIN(b.first_s) AS first_s, MAX(b.last_s) AS last_s, SUM(b.frames) AS frames,
         MIN(CASE WHEN p.element IS NULL THEN 0 ELSE 1 END) AS inside
  FROM {seconds} AS b
  JOIN {elements} AS z ON z.pick = b.pick AND z.kind = 'zone'
  LEFT JOIN {parts} AS p ON p.element = z.element AND b.lo_y >= p.lo_y AND b.hi_y <= p.hi_y
    AND (p.zx - p.ax) * (b.lo_y - p.ay) - (p.zy - p.ay) * (b.lo_x - p.ax) <= 0
    AND (p.zx - p.ax) * (b.hi_y - p.ay) - (p.zy - p.ay) * (b.lo_x - p.ax) <= 0
    AND (p.right_zx - p.right_ax) * (b.lo_y - p.right_ay) - (p.right_zy - p.right_ay) * (b.hi_x - p.right_ax) > 0
    AND (p.right_zx - p.right_ax) * (b.hi_y - p.right_ay) - (p.right_zy - p.right_ay) * (b.hi_x - p.right_ax) > 0
  WHERE b.lo_x <= z.hi_x AND b.hi_x >= z.lo_x AND b.lo_y <= z.hi_y AND b.hi_y >= z.lo_y
  GROUP BY z.element, b.pick, b.track_id, b.second
) AS b
JOIN {subjects} AS s ON s.pick = b.pick AND s.track_id = b.track_id
