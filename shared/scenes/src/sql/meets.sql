-- Steps that meet a segment of a line: sign 1 is from left to right, seen from the line's first point to its last. A point
-- on the line, and a step through a vertex, are taken as if the track were the tiniest bit further right, and down.
SELECT element, pick, track_id, n, part, frame_index, pts, time_s, observed, x, y, px, py, p_frame,
       to_side AS sign, p_side / NULLIF(p_side - side, 0) AS share
FROM (
  SELECT *,
         CASE WHEN side > 0 OR (side = 0 AND tie > 0) THEN 1 ELSE -1 END AS to_side,
         CASE WHEN p_side > 0 OR (p_side = 0 AND tie > 0) THEN 1 ELSE -1 END AS from_side,
         first_end - extend_first * (last_end - first_end) AS first_beyond,
         last_end + extend_last * (last_end - first_end) AS last_beyond,
         y > py OR (y = py AND x < px) AS end_tie
  FROM (
    SELECT l.element, l.part, l.tie, l.extend_first, l.extend_last, p.pick, p.track_id, p.n, p.frame_index, p.pts, p.time_s,
           p.observed, p.x, p.y, p.px, p.py, p.p_frame,
           (l.zx - l.ax) * (p.y - l.ay) - (l.zy - l.ay) * (p.x - l.ax) AS side,
           (l.zx - l.ax) * (p.py - l.ay) - (l.zy - l.ay) * (p.px - l.ax) AS p_side,
           (p.x - p.px) * (l.ay - p.py) - (p.y - p.py) * (l.ax - p.px) AS first_end,
           (p.x - p.px) * (l.zy - p.py) - (p.y - p.py) * (l.zx - p.px) AS last_end
    FROM {steps} AS p
    JOIN {parts} AS l ON l.pick = p.pick AND l.kind = 'line'
    WHERE p.px IS NOT NULL
      AND GREATEST(p.px, p.x) >= l.lo_x - 1 AND LEAST(p.px, p.x) <= l.hi_x + 1
      AND GREATEST(p.py, p.y) >= l.lo_y - 1 AND LEAST(p.py, p.y) <= l.hi_y + 1
  ) AS near
) AS sided
WHERE to_side <> from_side
  AND (first_beyond > 0 OR (first_beyond = 0 AND end_tie)) <> (last_beyond > 0 OR (last_beyond = 0 AND end_tie))
