"""FiftyOne's app with the same video and boxes, in the same browser: milliseconds to its first picture with boxes.

FiftyOne stores a document for each frame, and takes long to fill. So both are measured with one minute, and not with the hour.
"""

import os
import time

import duckdb

#: Whether any canvas of the page, also within shadow roots, has a pixel with a colour.
IS_DRAWN = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
  return all(document).some((canvas) => {
    if (!(canvas instanceof HTMLCanvasElement) || canvas.width < 300) return false;
    const pen = canvas.getContext("2d");
    if (pen === null) return false;
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 100 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 90) return true;
    }
    return false;
  });
}"""


def dataset_of(video, rows, fps):
    """A dataset of one sample, made of the rows of a tracks.parquet."""
    import fiftyone as fo

    dataset = fo.Dataset("beside", overwrite=True)
    sample = fo.Sample(filepath=str(video))
    by_frame = {}
    for frame, track, x1, y1, x2, y2, label, score in duckdb.sql(f"SELECT frame_index, track_id, x1, y1, x2, y2, class_name, score FROM '{rows}'").fetchall():
        box = [x1 / 1280, y1 / 720, (x2 - x1) / 1280, (y2 - y1) / 720]
        by_frame.setdefault(frame + 1, []).append(fo.Detection(label=label, bounding_box=box, index=track, confidence=score))
    for number, detections in by_frame.items():
        sample.frames[number] = fo.Frame(objects=fo.Detections(detections=detections))
    dataset.add_sample(sample)
    dataset.compute_metadata()
    return dataset, dataset.first().id


def measured(browsers, video, rows, fps, runs, polled_ms):
    """`browsers` gives a fresh browser for each run, `polled_ms` is how often its page is looked at."""
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
    import fiftyone as fo

    dataset, sample = dataset_of(video, rows, fps)
    session = fo.launch_app(dataset, port=5757, remote=True)
    took = []
    try:
        for _ in range(runs):
            with browsers() as browser:
                began = time.monotonic()
                browser.page.goto(f"http://localhost:5757/datasets/beside?id={sample}", wait_until="commit")
                browser.page.wait_for_function(IS_DRAWN, polling=polled_ms)
                took.append((time.monotonic() - began) * 1000)
    finally:
        session.close()
        dataset.delete()
    return took
