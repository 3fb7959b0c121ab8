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
seconds AS (
-- A second of a track as one row, with a box around its reference points and, as margin, their largest hysteresis: what lets
-- most rows be passed over. The box is a pixel larger than the points, so that no rounding matters.
SELECT b.pick, b.track_id, b.second, b.class_name, b.frames, b.first_frame, b.last_frame, b.first_s, b.last_s,
       b.lo_x * k.sx - 1 AS lo_x, b.hi_x * k.sx + 1 AS hi_x, b.lo_y * k.sy - 1 AS lo_y, b.hi_y * k.sy + 1 AS hi_y,
       k.hysteresis * b.most_h * k.sy AS margin
FROM (
  SELECT k.pick, t.track_id, CAST(FLOOR(t.time_s) AS BIGINT) AS second, t.class_name, COUNT(*) AS frames,
         MIN(t.frame_index) AS first_frame, MAX(t.frame_index) AS last_frame, MIN(t.time_s) AS first_s, MAX(t.time_s) AS last_s,
         MIN(t.x1 + (t.x2 - t.x1) * k.lo_rx) AS lo_x, MAX(t.x1 + (t.x2 - t.x1) * k.hi_rx) AS hi_x,
         MIN(t.y1 + (t.y2 - t.y1) * k.lo_ry) AS lo_y, MAX(t.y1 + (t.y2 - t.y1) * k.hi_ry) AS hi_y,
         MAX(t.y2 - t.y1) AS most_h
  FROM (
    SELECT * FROM tracks
  ) AS t
  JOIN picked AS k ON k.request_id = t.request_id
  GROUP BY pick, track_id, second, class_name
) AS b
JOIN picked AS k ON k.pick = b.pick
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
         ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY frames DESC, class_name) AS choice
  FROM (
    SELECT pick, track_id, class_name, SUM(frames) AS frames,
           MIN(first_s) AS first_s, MAX(last_s) AS last_s
    FROM seconds
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
SELECT ROW_NUMBER() OVER (ORDER BY k.pick, e.kind, e.name) AS element, k.pick, e.kind, e.name, e.lo_x, e.hi_x, e.lo_y, e.hi_y
FROM picked AS k
JOIN (
  SELECT scene, kind, name, MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y
  FROM scenes
  WHERE kind IN ('line', 'zone')
  GROUP BY scene, kind, name
) AS e ON e.scene = k.scene
),
parts AS (
-- Their segments and trapezoids.
SELECT e.element, e.pick, s.*
FROM elements AS e
JOIN picked AS k ON k.pick = e.pick
JOIN (
  SELECT scene, kind, name, part, tie, extend_first, extend_last, lo_x, hi_x, lo_y, hi_y, ax, ay, zx, zy,
         right_ax, right_ay, right_zx, right_zy
  FROM scenes
  WHERE kind IN ('line', 'zone')
) AS s ON s.scene = k.scene AND s.kind = e.kind AND s.name = e.name
),
cuts AS (
-- Seconds in which the upper or the lower edge of the picture may cut a track's box: the tallest one would reach the edge, or
-- come as near as a hundredth of the picture. The box gets lower there, and the object does not: its hysteresis is at least that
-- of the tallest box of the whole run of such seconds. A second has a pixel around it.
SELECT pick, track_id, second, MAX(margin) OVER (PARTITION BY pick, track_id, run) AS margin
FROM (
  SELECT pick, track_id, second, MAX(margin) AS margin,
         second - ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY second) AS run
  FROM (
    SELECT b.pick, b.track_id, b.second, b.margin
    FROM seconds AS b
    JOIN picked AS k ON k.pick = b.pick
    JOIN (
      SELECT scene, height_px FROM scenes WHERE kind = 'scene'
    ) AS v ON v.scene = k.scene
    WHERE k.hysteresis > 0
      AND (b.lo_y + 1 - k.lo_ry * b.margin / k.hysteresis < v.height_px * 0.01
        OR b.hi_y - 1 + (1 - k.hi_ry) * b.margin / k.hysteresis > v.height_px * 0.99)
  ) AS by_class
  GROUP BY pick, track_id, second
) AS cut
),
line_seconds AS (
-- The seconds of tracks that matter to a line. All positions of those that come near it (whole is 1). Where only the step from
-- the second before may meet it, that step: this second's first position, and the last one of the second before. A box meets a
-- segment if it meets the segment's box and not all of its corners are on one side of the segment's line. margin is the
-- least hysteresis where the picture's edge may cut the box. Of most tracks no second comes near a line: they are passed over
-- as a whole, before their seconds are followed one after the other.
SELECT n.element, n.track_id, n.second, n.whole, n.first_s, n.last_s, n.margin, s.request_id, s.sy, s.hysteresis,
       s.sx * (1 - s.rx) AS of_x1, s.sx * s.rx AS of_x2, s.sy * (1 - s.ry) AS of_y1, s.sy * s.ry AS of_y2
FROM (
  SELECT element, pick, track_id, second, MAX(whole) AS whole, MAX(first_s) AS first_s, MAX(last_s) AS last_s,
         MAX(margin) AS margin
  FROM (
    SELECT l.element, l.pick, b.track_id,
           CASE WHEN e.step_end = 1 THEN b.second ELSE b.second_before END AS second,
           CASE
             WHEN e.step_end = 1 AND b.lo_x <= l.hi_x AND b.hi_x >= l.lo_x AND b.lo_y <= l.hi_y AND b.hi_y >= l.lo_y
               AND ABS((l.zx - l.ax) * (b.lo_y + b.hi_y - 2 * l.ay) - (l.zy - l.ay) * (b.lo_x + b.hi_x - 2 * l.ax))
                 <= ABS(l.zx - l.ax) * (b.hi_y - b.lo_y) + ABS(l.zy - l.ay) * (b.hi_x - b.lo_x) THEN 1
             ELSE 0
           END AS whole,
           CASE WHEN e.step_end = 1 THEN b.first_s END AS first_s,
           CASE WHEN e.step_end = 0 THEN b.last_s_before END AS last_s,
           CASE WHEN e.step_end = 1 THEN b.margin END AS margin
    FROM (
      SELECT pick, track_id, second, first_s, margin, lo_x, hi_x, lo_y, hi_y, second_before, last_s_before,
             LEAST(lo_x, COALESCE(lo_x_before, lo_x)) AS step_lo_x, GREATEST(hi_x, COALESCE(hi_x_before, hi_x)) AS step_hi_x,
             LEAST(lo_y, COALESCE(lo_y_before, lo_y)) AS step_lo_y, GREATEST(hi_y, COALESCE(hi_y_before, hi_y)) AS step_hi_y
      FROM (
        SELECT *,
               LAG(second) OVER (PARTITION BY pick, track_id ORDER BY second) AS second_before,
               LAG(last_s) OVER (PARTITION BY pick, track_id ORDER BY second) AS last_s_before,
               LAG(lo_x) OVER (PARTITION BY pick, track_id ORDER BY second) AS lo_x_before,
               LAG(hi_x) OVER (PARTITION BY pick, track_id ORDER BY second) AS hi_x_before,
               LAG(lo_y) OVER (PARTITION BY pick, track_id ORDER BY second) AS lo_y_before,
               LAG(hi_y) OVER (PARTITION BY pick, track_id ORDER BY second) AS hi_y_before
        FROM (
          SELECT b.pick, b.track_id, b.second, MIN(b.first_s) AS first_s, MAX(b.last_s) AS last_s, MAX(c.margin) AS margin,
                 MIN(b.lo_x - GREATEST(b.margin, COALESCE(c.margin, 0))) AS lo_x,
                 MAX(b.hi_x + GREATEST(b.margin, COALESCE(c.margin, 0))) AS hi_x,
                 MIN(b.lo_y - GREATEST(b.margin, COALESCE(c.margin, 0))) AS lo_y,
                 MAX(b.hi_y + GREATEST(b.margin, COALESCE(c.margin, 0))) AS hi_y
          FROM seconds AS b
          JOIN (
            SELECT DISTINCT w.pick, w.track_id
            FROM (
              SELECT pick, track_id, MIN(lo_x) - MAX(margin) AS lo_x, MAX(hi_x) + MAX(margin) AS hi_x,
                     MIN(lo_y) - MAX(margin) AS lo_y, MAX(hi_y) + MAX(margin) AS hi_y
              FROM seconds
              GROUP BY pick, track_id
            ) AS w
            JOIN parts AS l ON l.pick = w.pick AND l.kind = 'line'
            WHERE w.lo_x <= l.hi_x AND w.hi_x >= l.lo_x AND w.lo_y <= l.hi_y AND w.hi_y >= l.lo_y
          ) AS near ON near.pick = b.pick AND near.track_id = b.track_id
          LEFT JOIN cuts AS c ON c.pick = b.pick AND c.track_id = b.track_id AND c.second = b.second
          GROUP BY b.pick, b.track_id, b.second
        ) AS all_classes
      ) AS followed
    ) AS b
    JOIN parts AS l ON l.pick = b.pick AND l.kind = 'line'
    CROSS JOIN (
      SELECT 0 AS step_end UNION ALL SELECT 1 AS step_end
    ) AS e
    WHERE b.step_lo_x <= l.hi_x AND b.step_hi_x >= l.lo_x AND b.step_lo_y <= l.hi_y AND b.step_hi_y >= l.lo_y
      AND ABS((l.zx - l.ax) * (b.step_lo_y + b.step_hi_y - 2 * l.ay) - (l.zy - l.ay) * (b.step_lo_x + b.step_hi_x - 2 * l.ax))
        <= ABS(l.zx - l.ax) * (b.step_hi_y - b.step_lo_y) + ABS(l.zy - l.ay) * (b.step_hi_x - b.step_lo_x)
      AND (e.step_end = 1 OR b.second_before IS NOT NULL)
  ) AS step_ends
  GROUP BY element, pick, track_id, second
) AS n
JOIN subjects AS s ON s.pick = n.pick AND s.track_id = n.track_id
),
touches AS (
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
            SELECT * FROM tracks
          ) AS t
          JOIN line_seconds AS b
            ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.second = CAST(FLOOR(t.time_s) AS BIGINT)
          WHERE b.whole = 1 OR t.time_s = b.first_s OR t.time_s = b.last_s
        ) AS positions
      ) AS p
      JOIN parts AS l ON l.element = p.element
      WHERE GREATEST(COALESCE(p.px, p.x), p.x) >= l.lo_x - 1 - p.margin
        AND LEAST(COALESCE(p.px, p.x), p.x) <= l.hi_x + 1 + p.margin
        AND GREATEST(COALESCE(p.py, p.y), p.y) >= l.lo_y - 1 - p.margin
        AND LEAST(COALESCE(p.py, p.y), p.y) <= l.hi_y + 1 + p.margin
    ) AS close
  ) AS sided
) AS told
WHERE near OR meets
),
nears AS (
-- Unbroken runs of positions within the hysteresis. A position that is near two segments of a line has one rank.
SELECT element, track_id, MIN(n) AS first_n, MAX(n) AS last_n, MIN(time_s) AS first_s, MAX(time_s) AS last_s
FROM (
  SELECT element, track_id, n, time_s, n - DENSE_RANK() OVER (PARTITION BY element, track_id ORDER BY n) AS run
  FROM touches
  WHERE near
) AS counted
GROUP BY element, track_id, run
),
crossings AS (
-- The steps of one stay within the hysteresis are one crossing or none: what counts is on which side it began and ended.
SELECT m.element, l.pick, m.track_id, m.frame_index, m.pts, m.observed, m.sign, m.at_s, m.at_x, m.at_y
FROM (
  SELECT *, SUM(sign) OVER (PARTITION BY element, track_id, stay) AS net,
         ROW_NUMBER() OVER (PARTITION BY element, track_id, stay, sign ORDER BY n DESC, share DESC, part) AS choice
  FROM (
    SELECT m.*, COALESCE(r.first_n, -m.n) AS stay, r.first_s AS stay_first_s, r.last_s AS stay_last_s
    FROM (
      SELECT * FROM touches WHERE sign <> 0
    ) AS m
    LEFT JOIN nears AS r
      ON r.element = m.element AND r.track_id = m.track_id AND r.first_n <= m.n AND r.last_n >= m.n - 1
  ) AS stays
) AS m
JOIN elements AS l ON l.element = m.element
JOIN subjects AS s ON s.pick = l.pick AND s.track_id = m.track_id
WHERE choice = 1 AND net * sign > 0
  AND (stay_first_s IS NULL OR (stay_first_s > s.first_s AND stay_last_s < s.last_s))
),
line_crossings AS (
SELECT s.scene, s.request_id, s.video, s.uploaded_at, l.name AS line,
       CASE WHEN c.sign > 0 THEN e.in_name ELSE e.out_name END AS direction,
       c.track_id, s.class_name, c.frame_index, c.pts, c.at_s AS time_s, c.at_x / s.sx AS x, c.at_y / s.sy AS y, c.observed,
       b.track_id IS NOT NULL AS born_on_line,
       c.at_s <= s.first_s + 1 OR c.at_s >= s.last_s - 1 AS near_birth_or_end
FROM crossings AS c
JOIN subjects AS s ON s.pick = c.pick AND s.track_id = c.track_id
JOIN elements AS l ON l.element = c.element
JOIN (
  SELECT scene, name, in_name, out_name FROM scenes WHERE kind = 'line' AND part = 0
) AS e ON e.scene = s.scene AND e.name = l.name
LEFT JOIN (
  SELECT r.element, r.track_id
  FROM nears AS r
  JOIN elements AS l ON l.element = r.element
  JOIN subjects AS s ON s.pick = l.pick AND s.track_id = r.track_id AND s.first_s = r.first_s
) AS b ON b.element = c.element AND b.track_id = c.track_id
),
zone_seconds AS (
-- The seconds of tracks that come near a zone; enclosed is 1 where all positions are inside, and no absence is too long.
SELECT element, b.track_id, second, s.request_id, s.absence_s,
       s.sx * (1 - s.rx) AS of_x1, s.sx * s.rx AS of_x2, s.sy * (1 - s.ry) AS of_y1, s.sy * s.ry AS of_y2,
       first_frame, last_frame, b.first_s, b.last_s, frames,
       CASE WHEN inside = 1 AND b.last_s - b.first_s <= s.absence_s THEN 1 ELSE 0 END AS enclosed
FROM (
  SELECT z.element, b.pick, b.track_id, b.second, MIN(b.first_frame) AS first_frame, MAX(b.last_frame) AS last_frame,
         MIN(b.first_s) AS first_s, MAX(b.last_s) AS last_s, SUM(b.frames) AS frames,
         MIN(CASE WHEN p.element IS NULL THEN 0 ELSE 1 END) AS inside
  FROM seconds AS b
  JOIN elements AS z ON z.pick = b.pick AND z.kind = 'zone'
  LEFT JOIN parts AS p ON p.element = z.element AND b.lo_y >= p.lo_y AND b.hi_y <= p.hi_y
    AND (p.zx - p.ax) * (b.lo_y - p.ay) - (p.zy - p.ay) * (b.lo_x - p.ax) <= 0
    AND (p.zx - p.ax) * (b.hi_y - p.ay) - (p.zy - p.ay) * (b.lo_x - p.ax) <= 0
    AND (p.right_zx - p.right_ax) * (b.lo_y - p.right_ay) - (p.right_zy - p.right_ay) * (b.hi_x - p.right_ax) > 0
    AND (p.right_zx - p.right_ax) * (b.hi_y - p.right_ay) - (p.right_zy - p.right_ay) * (b.hi_x - p.right_ax) > 0
  WHERE b.lo_x <= z.hi_x AND b.hi_x >= z.lo_x AND b.lo_y <= z.hi_y AND b.hi_y >= z.lo_y
  GROUP BY z.element, b.pick, b.track_id, b.second
) AS b
JOIN subjects AS s ON s.pick = b.pick AND s.track_id = b.track_id
),
insides AS (
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
    SELECT * FROM tracks
  ) AS t
  JOIN zone_seconds AS b
    ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.second = CAST(FLOOR(t.time_s) AS BIGINT)
  WHERE b.enclosed = 0
) AS p
JOIN parts AS z ON z.element = p.element
WHERE p.y >= z.lo_y AND p.y < z.hi_y AND p.x >= z.lo_x AND p.x <= z.hi_x
  AND (z.zx - z.ax) * (p.y - z.ay) - (z.zy - z.ay) * (p.x - z.ax) <= 0
  AND (z.right_zx - z.right_ax) * (p.y - z.right_ay) - (z.right_zy - z.right_ay) * (p.x - z.right_ax) > 0
GROUP BY p.element, p.track_id, p.slot
UNION ALL
SELECT element, track_id, first_frame, last_frame, first_s, last_s, frames
FROM zone_seconds
WHERE enclosed = 1
),
stays AS (
-- Positions inside with no absence longer than the tolerated one between them.
SELECT element, pick, track_id, MIN(first_frame) AS enter_frame, MIN(first_s) AS enter_s, MAX(last_frame) AS exit_frame,
       MAX(last_s) AS exit_s, SUM(frames) AS frames_inside
FROM (
  SELECT i.*, e.pick,
         SUM(CASE WHEN i.first_s - i.before_s <= k.absence_s THEN 0 ELSE 1 END) OVER (
           PARTITION BY i.element, i.track_id ORDER BY i.first_frame ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
         ) AS stay
  FROM (
    SELECT *, LAG(last_s) OVER (PARTITION BY element, track_id ORDER BY first_frame) AS before_s
    FROM insides
  ) AS i
  JOIN elements AS e ON e.element = i.element
  JOIN picked AS k ON k.pick = e.pick
) AS numbered
GROUP BY element, pick, track_id, stay
),
zone_visits AS (
SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS zone, s.track_id, s.class_name,
       v.enter_frame, v.enter_s, v.exit_frame, v.exit_s, v.exit_s - v.enter_s AS dwell_s, v.frames_inside,
       v.enter_s = s.first_s AS born_inside, v.exit_s = s.last_s AS left_scene,
       v.enter_s <= s.first_s + 1 OR v.exit_s >= s.last_s - 1 AS near_birth_or_end
FROM stays AS v
JOIN subjects AS s ON s.pick = v.pick AND s.track_id = v.track_id
JOIN elements AS e ON e.element = v.element
WHERE v.exit_s - v.enter_s >= s.settle_s
),
events AS (
-- What an identity did, in order: a line crossed in a direction, or a zone entered. near is 1 within a second of birth or end.
SELECT scene, request_id, video, uploaded_at, track_id, class_name, CONCAT(line, ' ', direction) AS element, time_s,
       CASE WHEN near_birth_or_end THEN 1 ELSE 0 END AS near
FROM line_crossings
UNION ALL
SELECT scene, request_id, video, uploaded_at, track_id, class_name, zone AS element, enter_s AS time_s,
       CASE WHEN near_birth_or_end THEN 1 ELSE 0 END AS near
FROM zone_visits
)
SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, class_name, origin, destination,
       SUM(direct) AS moves, SUM(whole) AS identities,
       SUM(direct * GREATEST(near, other_near)) AS moves_near_birth_or_end,
       SUM(whole * GREATEST(near, other_near)) AS identities_near_birth_or_end
FROM (
  SELECT scene, request_id, video, uploaded_at, class_name, element AS destination,
         LAG(element) OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) AS origin,
         near, LAG(near) OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) AS other_near,
         1 AS direct, 0 AS whole
  FROM events
  UNION ALL
  SELECT scene, request_id, video, uploaded_at, class_name,
         FIRST_VALUE(element) OVER (
           PARTITION BY scene, request_id, track_id ORDER BY time_s DESC, element DESC
         ) AS destination,
         element AS origin,
         near, FIRST_VALUE(near) OVER (
           PARTITION BY scene, request_id, track_id ORDER BY time_s DESC, element DESC
         ) AS other_near,
         0 AS direct,
         CASE
           WHEN ROW_NUMBER() OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) = 1
             AND COUNT(*) OVER (PARTITION BY scene, request_id, track_id) > 1 THEN 1
           ELSE 0
         END AS whole
  FROM events
) AS pairs
WHERE origin IS NOT NULL
GROUP BY scene, request_id, class_name, origin, destination
HAVING SUM(direct) + SUM(whole) > 0
