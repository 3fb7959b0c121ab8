//! Says which FFmpeg the code is compiled for, by the headers that the bindings were generated from.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // From 6.1 on encoders read a picture's fields from `flags` of the frame; from 8 on there is no other place for them.
    say_if_from("6_1", "frame_flags");
    // A parser is chosen by an `AVCodecID`, which was an `int`.
    say_if_from("9_0", "parser_takes_codec_id");
}

fn say_if_from(version: &str, name: &str) {
    println!("cargo:rustc-check-cfg=cfg({name})");
    if std::env::var(format!("DEP_FFMPEG_FFMPEG_{version}")).is_ok_and(|value| value == "true") {
        println!("cargo:rustc-cfg={name}");
    }
}
