//! `trackdrop model inspect` compared with ONNX Runtime loading the same model, each a process of its own.

use crate::{median, ratio, stage::session};
use anyhow::{Context, Result};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};
use trackdrop_detector::onnx_runtime;

/// What ONNX Runtime alone does: the process that `inspect` is compared with.
pub(crate) fn load(model: &str) -> Result<()> {
    let environment = onnx_runtime()?;
    let threads = crate::stage::threads();
    session(&environment, model, threads)?;
    Ok(())
}

/// Seconds, and the most MiB that were resident.
fn run(command: &mut Command) -> Result<(f64, f64)> {
    let started = Instant::now();
    let child = command.stdout(Stdio::null()).spawn().with_context(|| format!("{command:?} can't be started"))?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: waits for a child of this process that nobody else waits for; both pointers are to live memory.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, usage.as_mut_ptr()) };
    anyhow::ensure!(waited > 0 && status == 0, "{command:?} ended with {status}");
    // SAFETY: all zeros are a valid rusage, and wait4 filled it.
    let usage = unsafe { usage.assume_init() };
    Ok((started.elapsed().as_secs_f64(), usage.ru_maxrss as f64 / 1024.0))
}

pub(crate) fn inspect(trackdrop: &str, model: &str, rounds: usize) -> Result<()> {
    let own = std::env::current_exe()?;
    let (mut seconds, mut mib): ([Vec<f64>; 2], [Vec<f64>; 2]) = Default::default();
    for _ in 0..rounds {
        let loaded = run(Command::new(&own).args(["load", model]))?;
        let inspected = run(Command::new(trackdrop).args(["model", "inspect", "--json", model]))?;
        for (at, (time, memory)) in [loaded, inspected].into_iter().enumerate() {
            seconds[at].push(time);
            mib[at].push(memory);
        }
    }
    let name = Path::new(model).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = std::fs::metadata(model)?.len();
    println!(
        "### {name}, {} MB, {rounds} rounds by turns\n\n| | seconds | of loading | MiB at most | of loading |\n|---|---|---|---|---|",
        bytes / 1_000_000
    );
    for (label, at) in [("ONNX Runtime loads it", 0), ("`trackdrop model inspect`", 1)] {
        let (of_time, of_memory) = (ratio(&seconds[at], &seconds[0]), ratio(&mib[at], &mib[0]));
        println!("| {label} | {:.3} | {of_time:.2} | {:.1} | {of_memory:.2} |", median(&seconds[at]), median(&mib[at]));
    }
    println!();
    Ok(())
}

/// Writes a detector of `convolutions` convolutions of 9.4 MB, with Ultralytics' metadata; its numbers mean nothing.
pub(crate) fn write_model(file: &str, convolutions: usize) -> Result<()> {
    let (mut nodes, mut constants) = (Vec::new(), Vec::new());
    let mut weights = |name: &str, shape: &[u64]| constants.push(tensor(name, shape));
    weights("w_first", &[512, 3, 8, 8]);
    nodes.push(node("Conv", &["images", "w_first"], "x0", &[attribute("strides", &[32, 32])]));
    for at in 0..convolutions {
        weights(&format!("w{at}"), &[512, 512, 3, 3]);
        let (input, weight, output) = (format!("x{at}"), format!("w{at}"), format!("x{}", at + 1));
        nodes.push(node("Conv", &[&input, &weight], &output, &[attribute("pads", &[1, 1, 1, 1])]));
    }
    weights("w_last", &[84, 512, 1, 1]);
    nodes.push(node("Conv", &[&format!("x{convolutions}"), "w_last"], "maps", &[]));
    nodes.push(node("Sigmoid", &["maps"], "shares", &[]));
    constants.push(shape_tensor("shape", &[1, 84, 400]));
    nodes.push(node("Reshape", &["shares", "shape"], "output0", &[]));
    let mut graph = Vec::new();
    nodes.iter().for_each(|node| field(&mut graph, 1, node));
    field(&mut graph, 2, b"graph");
    constants.iter().for_each(|constant| field(&mut graph, 5, constant));
    field(&mut graph, 11, &value("images", &[1, 3, 640, 640]));
    field(&mut graph, 12, &value("output0", &[1, 84, 400]));
    let mut model = Vec::new();
    number(&mut model, 1, 8);
    field(&mut model, 7, &graph);
    let mut opset = Vec::new();
    number(&mut opset, 2, 17);
    field(&mut model, 8, &opset);
    let names: Vec<_> = (0..80).map(|class| format!("{class}: 'thing {class}'")).collect();
    let names = format!("{{{}}}", names.join(", "));
    for (key, text) in [("author", "Ultralytics"), ("task", "detect"), ("head", "Detect"), ("names", &names)] {
        let mut entry = Vec::new();
        field(&mut entry, 1, key.as_bytes());
        field(&mut entry, 2, text.as_bytes());
        field(&mut model, 14, &entry);
    }
    std::fs::write(file, model)?;
    Ok(())
}

/// A number as Protobuf writes it: seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, tag: u64, value: u64) {
    varint(out, tag << 3);
    varint(out, value);
}

fn field(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    varint(out, tag << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn node(kind: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|input| field(&mut node, 1, input.as_bytes()));
    field(&mut node, 2, output.as_bytes());
    field(&mut node, 4, kind.as_bytes());
    attributes.iter().for_each(|attribute| field(&mut node, 5, attribute));
    node
}

/// A list of whole numbers.
fn attribute(name: &str, values: &[u64]) -> Vec<u8> {
    const INTS: u64 = 7;
    let mut attribute = Vec::new();
    field(&mut attribute, 1, name.as_bytes());
    values.iter().for_each(|&value| number(&mut attribute, 8, value));
    number(&mut attribute, 20, INTS);
    attribute
}

/// Small weights of no meaning, in f32.
fn tensor(name: &str, shape: &[u64]) -> Vec<u8> {
    const FLOAT: u64 = 1;
    let count: u64 = shape.iter().product();
    let mut state = 1u64;
    let mut raw = Vec::with_capacity(4 * count as usize);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let weight = ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.05;
        raw.extend_from_slice(&weight.to_le_bytes());
    }
    constant(name, shape, FLOAT, &raw)
}

fn shape_tensor(name: &str, values: &[i64]) -> Vec<u8> {
    const INT64: u64 = 7;
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, &[values.len() as u64], INT64, &raw)
}

fn constant(name: &str, shape: &[u64], kind: u64, raw: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    shape.iter().for_each(|&side| number(&mut tensor, 1, side));
    number(&mut tensor, 2, kind);
    field(&mut tensor, 8, name.as_bytes());
    field(&mut tensor, 9, raw);
    tensor
}

/// What is declared of an input or output.
fn value(name: &str, sides: &[u64]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut value) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for &side in sides {
        let mut dimension = Vec::new();
        number(&mut dimension, 1, side);
        field(&mut shape, 1, &dimension);
    }
    number(&mut tensor, 1, 1);
    field(&mut tensor, 2, &shape);
    field(&mut kind, 1, &tensor);
    field(&mut value, 1, name.as_bytes());
    field(&mut value, 2, &kind);
    value
}
