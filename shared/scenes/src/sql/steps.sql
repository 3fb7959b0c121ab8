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
      SELECT * FROM {tracks}
    ) AS t
    JOIN {line_blocks} AS b ON b.request_id = t.request_id AND b.track_id = t.track_id AND b.block = t.frame_index >> 5
  ) AS positions
) AS followed
