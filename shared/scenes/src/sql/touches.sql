-- Positions nearer to a line than the hysteresis, or on it (near), and steps that meet a segment of it. sign is 1 from left to
-- right, seen from the line's first point to its last, and 0 for no step; at_s, at_x and at_y are where it meets the segment.
-- A point on the line, and a step through a vertex, are taken as if the track were the tiniest bit further right, and down.
-- n counts the positions of a track that matter to a line.
SELECT element, track_id, n, part, near, CASE WHEN meets THEN to_side ELSE 0 END AS sign, share,
       frame_index, pts, time_s, observed,
       p_time_s + (time_s - p_time_s) * share AS at_s, px + (x - px) * share AS at_x, py + (y - py) * share AS at_y
FROM (
  SELECT *,
         CASE
           WHEN along <= 0 THEN (x - ax) * (x - ax) + (y - ay) * (y - ay)
           WHEN along >= square THEN (x - zx) * (x - zx) + (y - zy) * (y - zy)
           ELSE side * side / square
         END < margin * margin
         OR (side = 0 AND along >= 0 AND along <= square) AS near,
         to_side <> from_side
           AND (first_beyond > 0 OR (first_beyond = 0 AND end_tie)) <> (last_beyond > 0 OR (last_beyond = 0 AND end_tie)) AS meets,
         p_side / NULLIF(p_side - side, 0) AS share
  FROM (
    SELECT *,
           CASE WHEN side > 0 OR (side = 0 AND tie > 0) THEN 1 ELSE -1 END AS to_side,
           CASE WHEN p_side > 0 OR (p_side = 0 AND tie > 0) THEN 1 ELSE -1 END AS from_side,
           first_end - extend_first * (last_end - first_end) AS first_beyond,
           last_end + extend_last * (last_end - first_end) AS last_beyond,
           y > py OR (y = py AND x < px) AS end_tie
    FROM (
      SELECT l.part, l.tie, l.extend_first, l.extend_last, l.ax, l.ay, l.zx, l.zy, p.*,
             (l.zx - l.ax) * (p.y - l.ay) - (l.zy - l.ay) * (p.x - l.ax) AS side,
             (l.zx - l.ax) * (p.x - l.ax) + (l.zy - l.ay) * (p.y - l.ay) AS along,
             (l.zx - l.ax) * (l.zx - l.ax) + (l.zy - l.ay) * (l.zy - l.ay) AS square,
             (l.zx - l.ax) * (p.py - l.ay) - (l.zy - l.ay) * (p.px - l.ax) AS p_side,
             (p.x - p.px) * (l.ay - p.py) - (p.y - p.py) * (l.ax - p.px) AS first_end,
             (p.x - p.px) * (l.zy - p.py) - (p.y - p.py) * (l.zx - p.px) AS last_end
      FROM (
        SELECT element, track_id, frame_index, pts, time_s, x, y, margin,
               COALESCE(
                 LAG(seen_frame) OVER (PARTITION BY element, track_id ORDER BY frame_index) = seen_frame - 1, FALSE
               ) AS observed,
               ROW_NUMBER() OVER (PARTITION BY element, track_id ORDER BY frame_index) AS n,
               LAG(x) OVER (PARTITION BY element, track_id ORDER BY frame_index) AS px,
               LAG(y) OVER (PARTITION BY element, track_id ORDER BY frame_index) AS py,
               LAG(time_s) OVER (PARTITION BY element, track_id ORDER BY frame_index) AS p_time_s
        FROM (
          SELECT b.element, t.track_id, t.frame_index, t.pts, t.time_s,
                 t.x1 * b.of_x1 + t.x2 * b.of_x2 AS x, t.y1 * b.of_y1 + t.y2 * b.of_y2 AS y,
                 CASE
                   WHEN b.whole = 1 OR t.time_s = b.first_s
                     THEN GREATEST(b.hysteresis * (t.y2 * b.sy - t.y1 * b.sy), COALESCE(b.margin, 0))
                 END AS margin,
                 CASE WHEN t.observed THEN t.frame_index END AS seen_frame
          FROM (
            SELECT * FROM {tracks}
          ) AS t
          JOIN {line_seconds} AS b
            ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.second = CAST(FLOOR(t.time_s) AS BIGINT)
          WHERE b.whole = 1 OR t.time_s = b.first_s OR t.time_s = b.last_s
        ) AS positions
      ) AS p
      JOIN {parts} AS l ON l.element = p.element
      WHERE GREATEST(COALESCE(p.px, p.x), p.x) >= l.lo_x - 1 - p.margin
        AND LEAST(COALESCE(p.px, p.x), p.x) <= l.hi_x + 1 + p.margin
        AND GREATEST(COALESCE(p.py, p.y), p.y) >= l.lo_y - 1 - p.margin
        AND LEAST(COALESCE(p.py, p.y), p.y) <= l.hi_y + 1 + p.margin
    ) AS close
  ) AS sided
) AS told
WHERE near OR meets
