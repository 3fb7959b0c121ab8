//! The names of a model's classes.

/// The 80 classes of COCO's detection task, in the order of every COCO-trained model.
#[rustfmt::skip]
pub(crate) const COCO: [&str; 80] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
];

/// The numbers from 0 to 90 that COCO's categories do not use. Models with 91 classes, such as RF-DETR, count by these
/// numbers.
const UNUSED_CATEGORIES: [usize; 11] = [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
/// The size of such a model's output.
const CATEGORIES: usize = COCO.len() + UNUSED_CATEGORIES.len();

/// Names for a model that has none: those of COCO if their number is right, otherwise `class_0`, `class_1`, ...
pub(crate) fn default_names(classes: usize) -> Vec<String> {
    let mut coco = COCO.iter();
    let name = |class: usize| {
        let is_coco = classes == COCO.len() || (classes == CATEGORIES && !UNUSED_CATEGORIES.contains(&class));
        let name = if is_coco { coco.next().map(ToString::to_string) } else { None };
        name.unwrap_or_else(|| format!("class_{class}"))
    };
    (0..classes).map(name).collect()
}

/// Whether a model with this many classes and no names gets COCO's.
pub(crate) fn are_coco(classes: usize) -> bool {
    classes == COCO.len() || classes == CATEGORIES
}

/// Reads the names in a model's metadata. They are a Python dictionary such as `{0: 'person', 1: "men's room"}`
/// (Ultralytics), the same in JSON (`{"0": "person"}`, LibreYOLO), or a list of names in one of these notations. None
/// if the text is anything else, or if the numbers are not 0, 1, 2, ...
pub(crate) fn parse_names(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let mut rest = list.or_else(|| text.strip_prefix('{')?.strip_suffix('}'))?.trim();
    let mut names = Vec::new();
    while !rest.is_empty() {
        if list.is_none() {
            let (number, after) = match quoted(rest) {
                Some((number, after)) => (number, after.trim_start().strip_prefix(':')?),
                None => rest.split_once(':').map(|(number, after)| (number.to_owned(), after))?,
            };
            if number.trim().parse() != Ok(names.len()) {
                return None;
            }
            rest = after.trim_start();
        }
        let (name, after) = quoted(rest)?;
        names.push(name);
        rest = after.trim_start();
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')?.trim_start() };
    }
    (!names.is_empty()).then_some(names)
}

/// One name per line, as `PaddleOCR`'s tools write them.
pub(crate) fn parse_lines(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    (!names.is_empty()).then_some(names)
}

/// A string of Python or JSON at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next().filter(|(_, c)| ['\'', '"'].contains(c))?;
    let mut units: Vec<u16> = Vec::new();
    let push = |units: &mut Vec<u16>, c: char| units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next()?.1;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let code = (0..digits)
                        .try_fold(0u32, |code, _| Some(code.checked_mul(16)? + chars.next()?.1.to_digit(16)?))?;
                    match u16::try_from(code) {
                        // Half of a pair, as JSON writes what lies beyond 16 bits, is a unit too.
                        Ok(unit) => units.push(unit),
                        Err(_) => push(&mut units, char::from_u32(code)?),
                    }
                } else {
                    let meant = match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'a' => '\u{7}',
                        'v' => '\u{b}',
                        '0' => '\0',
                        other => other,
                    };
                    push(&mut units, meant);
                }
            }
            c if c == quote => return Some((String::from_utf16(&units).ok()?, &text[at + c.len_utf8()..])),
            c => push(&mut units, c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_that_ultralytics_writes() {
        let names = parse_names(r#"{0: 'person', 1: "men's room", 2: 'it\'s', 3: 'a, b: {c}'}"#);
        assert_eq!(names.unwrap(), ["person", "men's room", "it's", "a, b: {c}"]);
        assert_eq!(parse_names("{0: 'no parking',}").unwrap(), ["no parking"]);
        assert_eq!(parse_names(r#"['person', "men's room",'car' ]"#).unwrap(), ["person", "men's room", "car"]);
    }

    #[test]
    fn reads_names_with_the_escapes_of_python_and_of_json() {
        assert_eq!(parse_names(r#"{"0": "person", "1": "men's \"room\""}"#).unwrap(), ["person", "men's \"room\""]);
        assert_eq!(parse_names(r#"["person", "car"]"#).unwrap(), ["person", "car"]);
        let names = parse_names(r"{0: 'no\xa0parking', 1: 'a\tb\\c', 2: '\u200bx', 3: '\U0001f697'}").unwrap();
        assert_eq!(names, ["no\u{a0}parking", "a\tb\\c", "\u{200b}x", "\u{1f697}"]);
        assert_eq!(parse_names(r#"{"0": "\ud83d\ude97"}"#).unwrap(), ["\u{1f697}"], "a pair of JSON's");
        assert_eq!(parse_names(r#"{"0": "\ud83d"}"#), None, "half a pair");
        assert_eq!(parse_names(r"{0: '\xg0'}"), None);
        assert_eq!(parse_lines(" text\ntitle\r\n\n").unwrap(), ["text", "title"]);
    }

    #[test]
    fn refuses_names_that_it_does_not_understand() {
        let dictionaries = ["", "{}", "{1: 'a'}", "{0: 'a', 2: 'b'}", "{0: 'a' 1: 'b'}", "{0: 'a", "{0: a}", "{'a'}"];
        for text in dictionaries.into_iter().chain(["[]", "['a' 'b']", "['a'", "[a]", "['a'}", "[0: 'a']"]) {
            assert_eq!(parse_names(text), None, "{text}");
        }
    }

    #[test]
    fn models_without_names_get_cocos_or_numbers() {
        assert_eq!(default_names(80)[79], "toothbrush");
        assert_eq!(default_names(2), ["class_0", "class_1"]);
        let categories = default_names(91);
        let known =
            [(0, "class_0"), (1, "person"), (3, "car"), (12, "class_12"), (13, "stop sign"), (90, "toothbrush")];
        for (id, name) in known {
            assert_eq!(categories[id], name);
        }
    }
}
