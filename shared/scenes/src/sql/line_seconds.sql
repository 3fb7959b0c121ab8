-- The seconds of tracks that matter to a line. All positions of those that come near it (whole is 1). Where only the step from
-- the second before may meet it, that step: this second's first position, and the last one of the second before.
SELECT n.element, n.track_id, n.second, n.whole, n.first_s, n.last_s, s.request_id, s.sx, s.sy, s.rx, s.ry, s.hysteresis
FROM (
  SELECT element, pick, track_id, second, MAX(whole) AS whole, MAX(first_s) AS first_s, MAX(last_s) AS last_s
  FROM (
    SELECT l.element, b.pick, b.track_id,
           CASE WHEN e.step_end = 1 THEN b.second ELSE b.second_before END AS second,
           CASE
             WHEN e.step_end = 1 AND b.lo_x <= l.hi_x AND b.hi_x >= l.lo_x AND b.lo_y <= l.hi_y AND b.hi_y >= l.lo_y THEN 1
             ELSE 0
           END AS whole,
           CASE WHEN e.step_end = 1 THEN b.first_s END AS first_s,
           CASE WHEN e.step_end = 0 THEN b.last_s_before END AS last_s
    FROM (
      SELECT *,
             LAG(second) OVER (PARTITION BY pick, track_id ORDER BY second) AS second_before,
             LAG(last_s) OVER (PARTITION BY pick, track_id ORDER BY second) AS last_s_before,
             LAG(lo_x) OVER (PARTITION BY pick, track_id ORDER BY second) AS lo_x_before,
             LAG(hi_x) OVER (PARTITION BY pick, track_id ORDER BY second) AS hi_x_before,
             LAG(lo_y) OVER (PARTITION BY pick, track_id ORDER BY second) AS lo_y_before,
             LAG(hi_y) OVER (PARTITION BY pick, track_id ORDER BY second) AS hi_y_before
      FROM (
        SELECT pick, track_id, second, MIN(first_s) AS first_s, MAX(last_s) AS last_s,
               MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y
        FROM {seconds}
        GROUP BY pick, track_id, second
      ) AS all_classes
    ) AS b
    JOIN {elements} AS l ON l.pick = b.pick AND l.kind = 'line'
    CROSS JOIN (
      SELECT 0 AS step_end UNION ALL SELECT 1 AS step_end
    ) AS e
    WHERE LEAST(b.lo_x, COALESCE(b.lo_x_before, b.lo_x)) <= l.hi_x AND GREATEST(b.hi_x, COALESCE(b.hi_x_before, b.hi_x)) >= l.lo_x
      AND LEAST(b.lo_y, COALESCE(b.lo_y_before, b.lo_y)) <= l.hi_y AND GREATEST(b.hi_y, COALESCE(b.hi_y_before, b.hi_y)) >= l.lo_y
      AND (e.step_end = 1 OR b.second_before IS NOT NULL)
  ) AS step_ends
  GROUP BY element, pick, track_id, second
) AS n
JOIN {subjects} AS s ON s.pick = n.pick AND s.track_id = n.track_id
