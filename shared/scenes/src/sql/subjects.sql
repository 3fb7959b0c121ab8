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
    FROM {seconds}
    GROUP BY pick, track_id, class_name
  ) AS votes
) AS t
JOIN {picked} AS p ON p.pick = t.pick
JOIN (
  SELECT scene, ax, ay FROM {scenes} WHERE kind = 'reference' AND name = ''
) AS d ON d.scene = p.scene
LEFT JOIN (
  SELECT scene, name, ax, ay FROM {scenes} WHERE kind = 'reference'
) AS c ON c.scene = p.scene AND c.name = t.class_name
WHERE t.choice = 1
