-- Positions in zones. A zone's parts are trapezoids that overlap nowhere; a border belongs to what is right of it or below.
SELECT z.element, p.pick, p.track_id, p.frame_index, p.time_s
FROM (
  SELECT b.pick, t.track_id, t.frame_index, t.time_s,
         t.x1 * b.sx * (1 - b.rx) + t.x2 * b.sx * b.rx AS x, t.y1 * b.sy * (1 - b.ry) + t.y2 * b.sy * b.ry AS y
  FROM (
    SELECT * FROM {tracks}
  ) AS t
  JOIN {zone_blocks} AS b ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.block = t.frame_index >> 5
) AS p
JOIN {parts} AS z ON z.pick = p.pick AND z.kind = 'zone'
WHERE p.y >= z.lo_y AND p.y < z.hi_y AND p.x >= z.lo_x AND p.x <= z.hi_x
  AND (z.zx - z.ax) * (p.y - z.ay) - (z.zy - z.ay) * (p.x - z.ax) <= 0
  AND (z.right_zx - z.right_ax) * (p.y - z.right_ay) - (z.right_zy - z.right_ay) * (p.x - z.right_ax) > 0
