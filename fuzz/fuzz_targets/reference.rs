//! Image references: any text is read or refused; what was read, written down in full or in
//! docker's short form, is read as the same reference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trustgate::image::{Gun, Platform, Reference};

fuzz_target!(|text: &str| {
    let _ = text.parse::<Gun>();
    if let Ok(platform) = text.parse::<Platform>() {
        let again: Platform = platform.to_string().parse().expect("a platform that was written down");
        assert_eq!(again, platform);
    }
    let Ok(reference) = text.parse::<Reference>() else { return };
    for written in [reference.to_string(), reference.familiar()] {
        let again: Reference = written.parse().expect("a reference that was written down");
        assert_eq!(again, reference, "{written}");
    }
    let gun: Gun = reference.gun().as_str().parse().expect("the name of a repository is a GUN");
    assert_eq!(gun, reference.gun());
    assert_eq!(reference.repository(), format!("{}/{}", reference.domain(), reference.path()));
    let tagged = reference.with_default_tag();
    assert!(tagged.tag().is_some() || tagged.digest().is_some());
    assert_eq!(tagged.without_digest().digest(), None);
});
