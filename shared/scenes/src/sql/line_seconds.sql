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
          FROM {seconds} AS b
          JOIN (
            SELECT DISTINCT w.pick, w.track_id
            FROM (
              SELECT pick, track_id, MIN(lo_x) - MAX(margin) AS lo_x, MAX(hi_x) + MAX(margin) AS hi_x,
                     MIN(lo_y) - MAX(margin) AS lo_y, MAX(hi_y) + MAX(margin) AS hi_y
              FROM {seconds}
              GROUP BY pick, track_id
            ) AS w
            JOIN {parts} AS l ON l.pick = w.pick AND l.kind = 'line'
            WHERE w.lo_x <= l.hi_x AND w.hi_x >= l.lo_x AND w.lo_y <= l.hi_y AND w.hi_y >= l.lo_y
          ) AS near ON near.pick = b.pick AND near.track_id = b.track_id
          LEFT JOIN {cuts} AS c ON c.pick = b.pick AND c.track_id = b.track_id AND c.second = b.second
          GROUP BY b.pick, b.track_id, b.second
        ) AS all_classes
      ) AS followed
    ) AS b
    JOIN {parts} AS l ON l.pick = b.pick AND l.kind = 'line'
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
JOIN {subjects} AS s ON s.pick = n.pick AND s.track_id = n.track_id
