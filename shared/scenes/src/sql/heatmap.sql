SELECT p.scene, p.request_id, MAX(p.video) AS video, MAX(p.uploaded_at) AS uploaded_at, p.class_name,
       CAST(FLOOR(p.x / k.cell_px) AS BIGINT) AS cell_x, CAST(FLOOR(p.y / k.cell_px) AS BIGINT) AS cell_y,
       MAX(k.cell_px) AS cell_px, SUM(f.lasts_s) AS seconds
FROM {placed} AS p
JOIN {picked} AS k ON k.pick = p.pick
JOIN {frames} AS f ON f.pick = p.pick AND f.frame_index = p.frame_index
GROUP BY p.scene, p.request_id, p.class_name, CAST(FLOOR(p.x / k.cell_px) AS BIGINT), CAST(FLOOR(p.y / k.cell_px) AS BIGINT)
