-- The blocks that come near a line. Any other has no step that meets one, and no position within the hysteresis of one.
SELECT DISTINCT b.pick, b.track_id, b.block, b.block_before,
       s.request_id, s.sx, s.sy, s.rx, s.ry, s.hysteresis
FROM {hulls} AS b
JOIN {subjects} AS s ON s.pick = b.pick AND s.track_id = b.track_id
JOIN {elements} AS l ON l.pick = s.pick AND l.kind = 'line'
WHERE b.lo_x <= l.hi_x + 1 + s.hysteresis * b.most_h AND b.hi_x >= l.lo_x - 1 - s.hysteresis * b.most_h
  AND b.lo_y <= l.hi_y + 1 + s.hysteresis * b.most_h AND b.hi_y >= l.lo_y - 1 - s.hysteresis * b.most_h
