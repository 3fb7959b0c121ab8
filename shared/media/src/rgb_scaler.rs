//! Scales a decoded picture to planes of RGB, by the chosen filter.

use ffmpeg::{ffi, format::Pixel, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    MediaError,
    resize::{OpenCv, Pillow, PlaneFilter, Sizes, Yuv, YuvLayout, YuvMatrix},
    scale::{RgbPlanes, Scaler, Target, yuv_matrix},
};

/// The filter that scales a frame. All are bilinear. They differ in the number of pixels that they use when a frame
/// becomes smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResizeFilter {
    /// That of swscale: it uses all pixels.
    #[default]
    Swscale,
    /// OpenCV's `INTER_LINEAR`: it uses two pixels per side, for any reduction. For a picture in RGB the result has the
    /// same bytes as OpenCV's. A picture in 8-bit YUV is converted and scaled in one step. The result differs from that
    /// of two steps by at most two of 255 levels, except in colours outside the range of RGB.
    OpenCv,
    /// Pillow's `BILINEAR`, with the same bytes: it uses all pixels. It needs the whole picture in RGB, which takes the
    /// most time.
    Pillow,
}

/// Scales frames to RGB. It reuses its tables and its memory for the next frame. Use one per thread.
#[derive(Debug, Default)]
pub struct RgbScaler {
    filter: ResizeFilter,
    scaler: Scaler,
    scaled: RgbPlanes,
    /// The picture in its own size, if the filter needs it.
    whole: RgbPlanes,
    opencv: Option<OpenCv>,
    pillow: Option<Pillow>,
    yuv: Option<Yuv>,
    matrix: Option<(MatrixKey, YuvMatrix)>,
}

/// What a picture's matrix and range follow from.
type MatrixKey = (ffi::AVColorRange, ffi::AVColorSpace, Pixel, (u32, u32));

impl RgbScaler {
    /// A new scaler with swscale's filter.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new scaler with this filter.
    pub fn with_filter(filter: ResizeFilter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// The picture as planes of this size in pixels; not upright.
    pub(crate) fn run(&mut self, picture: &frame::Video, size: (u32, u32)) -> Result<&RgbPlanes, MediaError> {
        let (width, height) = size;
        let from = (picture.width() as usize, picture.height() as usize);
        let sizes = Sizes { from, to: (width as usize, height as usize) };
        match (self.filter, layout_of(picture)) {
            (ResizeFilter::Swscale, _) => {
                self.scaler.run(picture, Target::planar_rgb(width, height, &mut self.scaled))?;
            }
            (ResizeFilter::OpenCv, Some(layout)) => {
                let matrix = self.matrix_of(picture);
                let planes: Vec<(&[u8], usize)> =
                    (0..picture.planes()).map(|plane| (picture.data(plane), picture.stride(plane))).collect();
                let yuv = match self.yuv.take() {
                    Some(yuv) if yuv.is_for(layout, sizes) => yuv,
                    _ => Yuv::new(layout, sizes),
                };
                let (target, stride) = self.scaled.planes_mut(width, height);
                self.yuv.insert(yuv).run(&planes, matrix, target, stride);
            }
            (ResizeFilter::OpenCv, None) => {
                self.fill_whole(picture)?;
                scale_planes(&mut self.opencv, sizes, &self.whole, &mut self.scaled);
            }
            (ResizeFilter::Pillow, _) => {
                self.fill_whole(picture)?;
                scale_planes(&mut self.pillow, sizes, &self.whole, &mut self.scaled);
            }
        }
        Ok(&self.scaled)
    }

    fn fill_whole(&mut self, picture: &frame::Video) -> Result<(), MediaError> {
        self.scaler.run(picture, Target::planar_rgb(picture.width(), picture.height(), &mut self.whole))
    }

    /// FFmpeg builds the names again for every picture, so they are read only if something changed.
    fn matrix_of(&mut self, picture: &frame::Video) -> YuvMatrix {
        // SAFETY: plain fields of a live frame.
        let (range, space) = unsafe { ((*picture.as_ptr()).color_range, (*picture.as_ptr()).colorspace) };
        let key = (range, space, picture.format(), (picture.width(), picture.height()));
        match self.matrix {
            Some((known, matrix)) if known == key => matrix,
            _ => self.matrix.insert((key, yuv_matrix(picture))).1,
        }
    }
}

/// Scales all planes of a picture by one filter, which is recreated if the sizes are others.
fn scale_planes<F: PlaneFilter>(filter: &mut Option<F>, sizes: Sizes, whole: &RgbPlanes, scaled: &mut RgbPlanes) {
    let fitting = filter.take().filter(|filter| filter.sizes() == sizes).unwrap_or_else(|| F::new(sizes));
    let filter = filter.insert(fitting);
    // Sides fit into 32 bits: they came from there.
    let (target, stride) = scaled.planes_mut(sizes.to.0 as u32, sizes.to.1 as u32);
    for (plane, target) in target.into_iter().enumerate() {
        let (source, source_stride) = whole.plane(plane);
        filter.run(source, source_stride, target, stride);
    }
}

/// The layout of a picture in 8-bit YUV. None for any other picture. Also none if the last row or column of chroma
/// covers only half a sample: swscale stretches the chroma then, and the program of the model's authors has the picture
/// from swscale.
fn layout_of(picture: &frame::Video) -> Option<YuvLayout> {
    let planar = |across, down| Some(YuvLayout { smaller: (across, down), is_paired: false });
    let layout = match picture.format() {
        Pixel::YUV420P | Pixel::YUVJ420P => planar(1, 1),
        Pixel::YUV422P | Pixel::YUVJ422P => planar(1, 0),
        Pixel::YUV444P | Pixel::YUVJ444P => planar(0, 0),
        Pixel::NV12 => Some(YuvLayout { smaller: (1, 1), is_paired: true }),
        _ => None,
    };
    // SAFETY: a plain field of a live frame. Rows that go upwards are left to swscale.
    let goes_down = unsafe { (*picture.as_ptr()).linesize.iter().take(picture.planes()).all(|&stride| stride > 0) };
    let is_even = |layout: &YuvLayout| {
        let sides = [(picture.width(), layout.smaller.0), (picture.height(), layout.smaller.1)];
        sides.iter().all(|(side, bits)| side.is_multiple_of(1 << bits))
    };
    layout.filter(is_even).filter(|_| goes_down)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]
mod tests {
    use super::*;

    /// A picture of soft colours with noise, none of which RGB lacks.
    fn noise(format: Pixel, (width, height): (u32, u32)) -> frame::Video {
        let mut picture = frame::Video::new(format, width, height);
        let random = |x: usize, y: usize| (((x * 7919 + y * 104_729) * 2_654_435_761) >> 16) as u8;
        for plane in 0..picture.planes() {
            let (stride, is_luma) = (picture.stride(plane), plane == 0);
            for (y, row) in picture.data_mut(plane).chunks_mut(stride).enumerate() {
                for (x, byte) in row.iter_mut().enumerate() {
                    let smooth = (x + 2 * y) / 4;
                    *byte = match is_luma {
                        true => 70 + (smooth % 64) as u8 + random(x, y) % 64,
                        false => 112 + (smooth % 16) as u8 + random(x + plane, y) % 16,
                    };
                }
            }
        }
        picture
    }

    fn shown(planes: &RgbPlanes, (width, height): (u32, u32)) -> Vec<u8> {
        let of_plane = |(bytes, stride): (&[u8], usize)| -> Vec<u8> {
            bytes.chunks(stride).take(height as usize).flat_map(|row| row[..width as usize].to_vec()).collect()
        };
        (0..3).flat_map(|plane| of_plane(planes.plane(plane))).collect()
    }

    /// The whole picture in RGB by swscale, and that by OpenCV's filter.
    fn in_two_steps(picture: &frame::Video, size: (u32, u32)) -> Vec<u8> {
        let mut scaler = RgbScaler::new();
        scaler.fill_whole(picture).unwrap();
        let from = (picture.width() as usize, picture.height() as usize);
        let mut opencv = OpenCv::new(Sizes { from, to: (size.0 as usize, size.1 as usize) });
        let (target, stride) = scaler.scaled.planes_mut(size.0, size.1);
        for (plane, target) in target.into_iter().enumerate() {
            let (source, source_stride) = scaler.whole.plane(plane);
            opencv.run(source, source_stride, target, stride);
        }
        shown(&scaler.scaled, size)
    }

    #[test]
    fn samples_of_every_layout_give_the_colours_that_the_whole_picture_gives() {
        let formats = [Pixel::YUV420P, Pixel::YUVJ420P, Pixel::YUV422P, Pixel::YUV444P, Pixel::NV12];
        let sizes = [
            ((322, 182), (104, 58)),
            ((320, 180), (320, 180)),
            ((96, 60), (211, 97)),
            ((64, 48), (8, 6)),
            ((2, 2), (5, 3)),
        ];
        for (format, (from, to)) in formats.iter().flat_map(|&format| sizes.map(|size| (format, size))) {
            let picture = noise(format, from);
            let mut scaler = RgbScaler::with_filter(ResizeFilter::OpenCv);
            let once = shown(scaler.run(&picture, to).unwrap(), to);
            let twice = in_two_steps(&picture, to);
            let most = once.iter().zip(&twice).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(most <= 2, "{format:?} {from:?} to {to:?}: {most}");
        }
    }

    #[test]
    fn chroma_that_stands_for_half_a_row_or_column_is_stretched_as_swscale_does() {
        for from in [(63, 48), (64, 47), (63, 47)] {
            let odd = noise(Pixel::YUV420P, from);
            let mut scaler = RgbScaler::with_filter(ResizeFilter::OpenCv);
            assert!(shown(scaler.run(&odd, (20, 21)).unwrap(), (20, 21)) == in_two_steps(&odd, (20, 21)), "{from:?}");
        }
    }

    #[test]
    fn a_picture_in_rgb_and_one_of_ten_bits_go_through_the_whole_picture() {
        for format in [Pixel::RGB24, Pixel::YUV420P10LE] {
            let picture = frame::Video::new(format, 64, 48);
            assert_eq!(layout_of(&picture), None, "{format:?}");
            for filter in [ResizeFilter::OpenCv, ResizeFilter::Pillow] {
                let mut scaler = RgbScaler::with_filter(filter);
                assert!(scaler.run(&picture, (32, 24)).is_ok() && scaler.run(&picture, (16, 24)).is_ok());
            }
        }
    }

    #[test]
    fn a_scaler_that_meets_another_size_makes_its_tables_anew() {
        let mut scaler = RgbScaler::with_filter(ResizeFilter::OpenCv);
        for size in [(320, 180), (64, 48), (320, 180)] {
            let picture = noise(Pixel::YUV420P, size);
            let fresh = shown(RgbScaler::with_filter(ResizeFilter::OpenCv).run(&picture, (40, 30)).unwrap(), (40, 30));
            assert!(shown(scaler.run(&picture, (40, 30)).unwrap(), (40, 30)) == fresh, "{size:?}");
        }
    }
}
