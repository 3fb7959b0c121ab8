-- Seconds in which the upper or the lower edge of the picture may cut a track's box: the tallest one would reach the edge, or
-- come as near as a hundredth of the picture. The box gets lower there, and the object does not: its hysteresis is at least that
-- of the tallest box of the whole run of such seconds. A second has a pixel around it.
SELECT pick, track_id, second, MAX(margin) OVER (PARTITION BY pick, track_id, run) AS margin
FROM (
  SELECT pick, track_id, second, MAX(margin) AS margin,
         second - ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY second) AS run
  FROM (
    SELECT b.pick, b.track_id, b.second, b.margin
    FROM {seconds} AS b
    JOIN {picked} AS k ON k.pick = b.pick
    JOIN (
      SELECT scene, height_px FROM {scenes} WHERE kind = 'scene'
    ) AS v ON v.scene = k.scene
    WHERE k.hysteresis > 0
      AND (b.lo_y + 1 - k.lo_ry * b.margin / k.hysteresis < v.height_px * 0.01
        OR b.hi_y - 1 + (1 - k.hi_ry) * b.margin / k.hysteresis > v.height_px * 0.99)
  ) AS by_class
  GROUP BY pick, track_id, second
) AS cut
