WITH picked AS (
-- Which requests a scene is asked of, and by how much their pictures differ in size from the one that it was drawn on.
SELECT ROW_NUMBER() OVER (ORDER BY s.scene, r.request_id) AS pick, s.scene, r.request_id, r.video, r.uploaded_at,
       s.width_px / r.width_px AS sx, s.height_px / r.height_px AS sy,
       s.hysteresis, s.absence_s, s.settle_s, s.interval_s, s.cell_px, s.near_distance, s.near_s,
       s.h11, s.h12, s.h13, s.h21, s.h22, s.h23, s.h31, s.h32, s.h33, s.residual_m,
       c.lo_rx, c.hi_rx, c.lo_ry, c.hi_ry
FROM (
  SELECT * FROM scenes WHERE kind = 'scene'
) AS s
JOIN (
  SELECT scene, MIN(ax) AS lo_rx, MAX(ax) AS hi_rx, MIN(ay) AS lo_ry, MAX(ay) AS hi_ry
  FROM scenes
  WHERE kind = 'reference'
  GROUP BY scene
) AS c ON c.scene = s.scene
CROSS JOIN (
  SELECT request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at,
         MAX(width_px) AS width_px, MAX(height_px) AS height_px
  FROM requests
  GROUP BY request_id
) AS r
WHERE REGEXP_CONTAINS(r.video, s.videos)
  AND ABS(s.width_px * r.height_px - s.height_px * r.width_px) <= GREATEST(s.width_px, s.height_px)
),
blocks AS (
-- 32 frames of a track as one row, with the extent of its reference points: what lets most rows be passed over.
SELECT pick, track_id, frame_index >> 5 AS block, class_name, COUNT(*) AS class_rows,
       MIN(time_s) AS first_s, MAX(time_s) AS last_s,
       MIN((x1 * (1 - lo_rx) + x2 * lo_rx) * sx) AS lo_x, MAX((x1 * (1 - hi_rx) + x2 * hi_rx) * sx) AS hi_x,
       MIN((y1 * (1 - lo_ry) + y2 * lo_ry) * sy) AS lo_y, MAX((y1 * (1 - hi_ry) + y2 * hi_ry) * sy) AS hi_y,
       MAX((y2 - y1) * sy) AS most_h
FROM (
  SELECT * FROM tracks
) AS t
JOIN picked USING (request_id)
GROUP BY pick, track_id, frame_index >> 5, class_name
),
subjects AS (
-- One row an identity and scene: its class is the one that most of its rows have, its reference point is that class's.
SELECT p.pick, p.scene, p.request_id, p.video, p.uploaded_at, p.sx, p.sy, p.hysteresis, p.absence_s, p.settle_s,
       t.track_id, t.class_name, t.first_s, t.last_s,
       COALESCE(c.ax, d.ax) AS rx, COALESCE(c.ay, d.ay) AS ry
FROM (
  SELECT pick, track_id, class_name,
         MIN(first_s) OVER (PARTITION BY pick, track_id) AS first_s,
         MAX(last_s) OVER (PARTITION BY pick, track_id) AS last_s,
         ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY class_rows DESC, class_name) AS choice
  FROM (
    SELECT pick, track_id, class_name, SUM(class_rows) AS class_rows,
           MIN(first_s) AS first_s, MAX(last_s) AS last_s
    FROM blocks
    GROUP BY pick, track_id, class_name
  ) AS votes
) AS t
JOIN picked AS p ON p.pick = t.pick
JOIN (
  SELECT scene, ax, ay FROM scenes WHERE kind = 'reference' AND name = ''
) AS d ON d.scene = p.scene
LEFT JOIN (
  SELECT scene, name, ax, ay FROM scenes WHERE kind = 'reference'
) AS c ON c.scene = p.scene AND c.name = t.class_name
WHERE t.choice = 1
),
elements AS (
-- The lines and zones of each request that a scene is asked of, by number, with their boxes.
SELECT k.pick, e.kind, e.name, e.element, e.lo_x, e.hi_x, e.lo_y, e.hi_y
FROM picked AS k
JOIN (
  SELECT scene, kind, name, ROW_NUMBER() OVER (ORDER BY scene, kind, name) AS element,
         MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y
  FROM scenes
  WHERE kind IN ('line', 'zone')
  GROUP BY scene, kind, name
) AS e ON e.scene = k.scene
),
parts AS (
-- Their segments and trapezoids.
SELECT e.pick, e.element, s.*
FROM elements AS e
JOIN picked AS k ON k.pick = e.pick
JOIN (
  SELECT scene, kind, name, part, tie, extend_first, extend_last, lo_x, hi_x, lo_y, hi_y, ax, ay, zx, zy,
         right_ax, right_ay, right_zx, right_zy
  FROM scenes
  WHERE kind IN ('line', 'zone')
) AS s ON s.scene = k.scene AND s.kind = e.kind AND s.name = e.name
),
hulls AS (
-- A block's box together with those of the blocks before and after it, since a step leads from one to the next.
SELECT pick, track_id, block,
       LAG(block) OVER (PARTITION BY pick, track_id ORDER BY block) AS block_before,
       MIN(lo_x) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS lo_x,
       MAX(hi_x) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS hi_x,
       MIN(lo_y) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS lo_y,
       MAX(hi_y) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS hi_y,
       MAX(most_h) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS most_h
FROM (
  SELECT pick, track_id, block, MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y,
         MAX(most_h) AS most_h
  FROM blocks
  GROUP BY pick, track_id, block
) AS whole
),
line_blocks AS (
-- The blocks that come near a line. Any other has no step that meets one, and no position within the hysteresis of one.
SELECT DISTINCT b.pick, b.track_id, b.block, b.block_before,
       s.request_id, s.sx, s.sy, s.rx, s.ry, s.hysteresis
FROM hulls AS b
JOIN subjects AS s ON s.pick = b.pick AND s.track_id = b.track_id
JOIN elements AS l ON l.pick = s.pick AND l.kind = 'line'
WHERE b.lo_x <= l.hi_x + 1 + s.hysteresis * b.most_h AND b.hi_x >= l.lo_x - 1 - s.hysteresis * b.most_h
  AND b.lo_y <= l.hi_y + 1 + s.hysteresis * b.most_h AND b.hi_y >= l.lo_y - 1 - s.hysteresis * b.most_h
),
steps AS (
-- Positions near lines, each with the one before it. n counts a track's positions here; between two stretches of them the
-- track was away from every line, and no step is made up.
SELECT pick, track_id, frame_index, pts, time_s, observed, x, y, h, hysteresis * h AS margin, n, p_frame,
       CASE WHEN p_frame >> 5 IN (frame_index >> 5, block_before) THEN px END AS px, py
FROM (
  SELECT *,
         ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY frame_index) AS n,
         LAG(x) OVER (PARTITION BY pick, track_id ORDER BY frame_index) AS px,
         LAG(y) OVER (PARTITION BY pick, track_id ORDER BY frame_index) AS py,
         LAG(frame_index) OVER (PARTITION BY pick, track_id ORDER BY frame_index) AS p_frame
  FROM (
    SELECT b.pick, b.hysteresis, b.block_before, t.track_id, t.frame_index, t.pts, t.time_s, t.observed,
           t.x1 * b.sx * (1 - b.rx) + t.x2 * b.sx * b.rx AS x, t.y1 * b.sy * (1 - b.ry) + t.y2 * b.sy * b.ry AS y,
           t.y2 * b.sy - t.y1 * b.sy AS h
    FROM (
      SELECT * FROM tracks
    ) AS t
    JOIN line_blocks AS b ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.block = t.frame_index >> 5
  ) AS positions
) AS followed
),
nears AS (
-- Positions nearer to a line than the hysteresis, or on it, in unbroken runs.
SELECT element, pick, track_id, n,
       MIN(n) OVER (PARTITION BY element, pick, track_id, run) AS run_first_n,
       MIN(time_s) OVER (PARTITION BY element, pick, track_id, run) AS run_first_s,
       MAX(time_s) OVER (PARTITION BY element, pick, track_id, run) AS run_last_s
FROM (
  SELECT element, pick, track_id, n, time_s,
         n - ROW_NUMBER() OVER (PARTITION BY element, pick, track_id ORDER BY n) AS run
  FROM (
    SELECT element, pick, track_id, n, MIN(time_s) AS time_s
    FROM (
      SELECT l.element, p.pick, p.track_id, p.n, p.time_s, p.margin, p.x, p.y, l.ax, l.ay, l.zx, l.zy,
             (l.zx - l.ax) * (p.y - l.ay) - (l.zy - l.ay) * (p.x - l.ax) AS side,
             (l.zx - l.ax) * (p.x - l.ax) + (l.zy - l.ay) * (p.y - l.ay) AS along,
             (l.zx - l.ax) * (l.zx - l.ax) + (l.zy - l.ay) * (l.zy - l.ay) AS square
      FROM steps AS p
      JOIN parts AS l ON l.pick = p.pick AND l.kind = 'line'
      WHERE p.x >= l.lo_x - 1 - p.margin AND p.x <= l.hi_x + 1 + p.margin
        AND p.y >= l.lo_y - 1 - p.margin AND p.y <= l.hi_y + 1 + p.margin
    ) AS close
    WHERE CASE
        WHEN along <= 0 THEN (x - ax) * (x - ax) + (y - ay) * (y - ay)
        WHEN along >= square THEN (x - zx) * (x - zx) + (y - zy) * (y - zy)
        ELSE side * side / square
      END < margin * margin
      OR (side = 0 AND along >= 0 AND along <= square)
    GROUP BY element, pick, track_id, n
  ) AS near
) AS counted
),
meets AS (
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
    FROM steps AS p
    JOIN parts AS l ON l.pick = p.pick AND l.kind = 'line'
    WHERE p.px IS NOT NULL
      AND GREATEST(p.px, p.x) >= l.lo_x - 1 AND LEAST(p.px, p.x) <= l.hi_x + 1
      AND GREATEST(p.py, p.y) >= l.lo_y - 1 AND LEAST(p.py, p.y) <= l.hi_y + 1
  ) AS near
) AS sided
WHERE to_side <> from_side
  AND (first_beyond > 0 OR (first_beyond = 0 AND end_tie)) <> (last_beyond > 0 OR (last_beyond = 0 AND end_tie))
),
crossings AS (
-- The steps of one stay within the hysteresis are one crossing or none: what counts is on which side it began and ended.
SELECT m.element, m.pick, m.track_id, m.frame_index, m.pts, m.time_s, m.observed, m.x, m.y, m.px, m.py, m.p_frame, m.sign, m.share,
       p.time_s AS p_time_s, p.observed AS p_observed
FROM (
  SELECT *,
         ROW_NUMBER() OVER (PARTITION BY element, pick, track_id, stay, sign ORDER BY n DESC, share DESC, part) AS choice
  FROM (
    SELECT m.*, COALESCE(a.run_first_n, b.run_first_n, -m.n) AS stay,
           COALESCE(a.run_first_s, b.run_first_s) AS stay_first_s,
           COALESCE(a.run_last_s, b.run_last_s) AS stay_last_s,
           SUM(m.sign) OVER (
             PARTITION BY m.element, m.pick, m.track_id, COALESCE(a.run_first_n, b.run_first_n, -m.n)
           ) AS net
    FROM meets AS m
    LEFT JOIN nears AS a ON a.element = m.element AND a.pick = m.pick AND a.track_id = m.track_id AND a.n = m.n
    LEFT JOIN nears AS b ON b.element = m.element AND b.pick = m.pick AND b.track_id = m.track_id AND b.n = m.n - 1
  ) AS stays
) AS m
JOIN subjects AS s ON s.pick = m.pick AND s.track_id = m.track_id
JOIN steps AS p ON p.pick = m.pick AND p.track_id = m.track_id AND p.n = m.n - 1
WHERE choice = 1 AND net * sign > 0
  AND (stay_first_s IS NULL OR (stay_first_s > s.first_s AND stay_last_s < s.last_s))
)
SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS line,
       CASE WHEN c.sign > 0 THEN e.in_name ELSE e.out_name END AS direction,
       c.track_id, s.class_name, c.frame_index, c.pts,
       c.p_time_s + (c.time_s - c.p_time_s) * c.share AS time_s,
       (c.px + (c.x - c.px) * c.share) / s.sx AS x, (c.py + (c.y - c.py) * c.share) / s.sy AS y,
       c.observed AND c.p_observed AND c.frame_index = c.p_frame + 1 AS observed,
       b.track_id IS NOT NULL AS born_on_line,
       c.p_time_s + (c.time_s - c.p_time_s) * c.share <= s.first_s + 1
         OR c.p_time_s + (c.time_s - c.p_time_s) * c.share >= s.last_s - 1 AS near_birth_or_end
FROM crossings AS c
JOIN subjects AS s ON s.pick = c.pick AND s.track_id = c.track_id
JOIN elements AS n ON n.pick = c.pick AND n.element = c.element
JOIN (
  SELECT scene, name, in_name, out_name FROM scenes WHERE kind = 'line' AND part = 0
) AS e ON e.scene = s.scene AND e.name = n.name
LEFT JOIN (
  SELECT DISTINCT n.element, n.pick, n.track_id
  FROM nears AS n
  JOIN subjects AS s ON s.pick = n.pick AND s.track_id = n.track_id AND s.first_s = n.run_first_s
) AS b ON b.element = c.element AND b.pick = c.pick AND b.track_id = c.track_id
