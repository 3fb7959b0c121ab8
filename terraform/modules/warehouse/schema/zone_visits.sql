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
zone_blocks AS (
-- The blocks whose boxes touch the box of a zone: any other has no position in one.
SELECT DISTINCT b.pick, b.track_id, b.block, s.request_id, s.sx, s.sy, s.rx, s.ry
FROM blocks AS b
JOIN subjects AS s ON s.pick = b.pick AND s.track_id = b.track_id
JOIN elements AS z ON z.pick = s.pick AND z.kind = 'zone'
WHERE b.lo_x <= z.hi_x + 1 AND b.hi_x >= z.lo_x - 1 AND b.lo_y <= z.hi_y + 1 AND b.hi_y >= z.lo_y - 1
),
insides AS (
-- Positions in zones. A zone's parts are trapezoids that overlap nowhere; a border belongs to what is right of it or below.
SELECT z.element, p.pick, p.track_id, p.frame_index, p.time_s
FROM (
  SELECT b.pick, t.track_id, t.frame_index, t.time_s,
         t.x1 * b.sx * (1 - b.rx) + t.x2 * b.sx * b.rx AS x, t.y1 * b.sy * (1 - b.ry) + t.y2 * b.sy * b.ry AS y
  FROM (
    SELECT * FROM tracks
  ) AS t
  JOIN zone_blocks AS b ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.block = t.frame_index >> 5
) AS p
JOIN parts AS z ON z.pick = p.pick AND z.kind = 'zone'
WHERE p.y >= z.lo_y AND p.y < z.hi_y AND p.x >= z.lo_x AND p.x <= z.hi_x
  AND (z.zx - z.ax) * (p.y - z.ay) - (z.zy - z.ay) * (p.x - z.ax) <= 0
  AND (z.right_zx - z.right_ax) * (p.y - z.right_ay) - (z.right_zy - z.right_ay) * (p.x - z.right_ax) > 0
),
ends AS (
-- The first and the last positions of stays: those with nothing inside for longer than the tolerated absence before or after
-- them. Each is numbered among its kind, and n counts all positions inside.
SELECT element, pick, track_id, frame_index, time_s, n, enters, exits,
       SUM(enters) OVER (PARTITION BY element, pick, track_id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS stay
FROM (
  SELECT i.element, i.pick, i.track_id, i.frame_index, i.time_s, i.n,
         CASE WHEN i.time_s - i.before_s <= k.absence_s THEN 0 ELSE 1 END AS enters,
         CASE WHEN i.after_s - i.time_s <= k.absence_s THEN 0 ELSE 1 END AS exits
  FROM (
    SELECT element, pick, track_id, frame_index, time_s,
           ROW_NUMBER() OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS n,
           LAG(time_s) OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS before_s,
           LEAD(time_s) OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS after_s
    FROM insides
  ) AS i
  JOIN picked AS k ON k.pick = i.pick
) AS marked
WHERE enters + exits > 0
)
SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS zone, s.track_id, s.class_name,
       v.enter_frame, v.enter_s, v.exit_frame, v.exit_s, v.exit_s - v.enter_s AS dwell_s, v.frames_inside,
       v.enter_s = s.first_s AS born_inside, v.exit_s = s.last_s AS left_scene
FROM (
  SELECT element, pick, track_id, MIN(frame_index) AS enter_frame, MIN(time_s) AS enter_s,
         MAX(frame_index) AS exit_frame, MAX(time_s) AS exit_s, MAX(n) - MIN(n) + 1 AS frames_inside
  FROM ends
  GROUP BY element, pick, track_id, stay
) AS v
JOIN subjects AS s ON s.pick = v.pick AND s.track_id = v.track_id
JOIN elements AS e ON e.pick = v.pick AND e.element = v.element
WHERE v.exit_s - v.enter_s >= s.settle_s
