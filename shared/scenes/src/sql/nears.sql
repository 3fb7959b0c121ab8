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
      FROM {steps} AS p
      JOIN {parts} AS l ON l.pick = p.pick AND l.kind = 'line'
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
