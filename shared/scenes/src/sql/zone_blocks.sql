-- The blocks whose boxes touch the box of a zone: any other has no position in one.
SELECT DISTINCT b.pick, b.track_id, b.block, s.request_id, s.sx, s.sy, s.rx, s.ry
FROM {blocks} AS b
JOIN {subjects} AS s ON s.pick = b.pick AND s.track_id = b.track_id
JOIN {elements} AS z ON z.pick = s.pick AND z.kind = 'zone'
WHERE b.lo_x <= z.hi_x + 1 AND b.hi_x >= z.lo_x - 1 AND b.lo_y <= z.hi_y + 1 AND b.hi_y >= z.lo_y - 1
