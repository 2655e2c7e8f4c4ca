//! What was found once is looked at on every test run: one file of `regressions/<target>` for each.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "nothing is in {}", folder.display());
}

macro_rules! replays {
    ($($(#[$attribute:meta])* $target:ident),* $(,)?) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $target() {
                replay(stringify!($target), ollama_fast_fuzz::$target::check);
            }
        )*
    };
}

replays!(
    base64,
    #[cfg(feature = "python")]
    decoder,
    float32,
    #[cfg(feature = "python")]
    images,
    response,
    splitter,
    vectors,
);
