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
)
SELECT s.scene, s.request_id, s.video, s.uploaded_at, e.name AS zone, s.track_id, s.class_name,
       v.enter_frame, v.enter_s, v.exit_frame, v.exit_s, v.exit_s - v.enter_s AS dwell_s, v.frames_inside,
       v.enter_s = s.first_s AS born_inside, v.exit_s = s.last_s AS left_scene,
       v.enter_s <= s.first_s + 1 OR v.exit_s >= s.last_s - 1 AS near_birth_or_end
FROM stays AS v
JOIN subjects AS s ON s.pick = v.pick AND s.track_id = v.track_id
JOIN elements AS e ON e.element = v.element
WHERE v.exit_s - v.enter_s >= s.settle_s
