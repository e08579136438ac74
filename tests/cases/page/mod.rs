//! The page of `status --html`, without a browser: what is on it, that nothing of a stranger is
//! markup, and the file. `crate::browser` looks at it.

pub mod example;

use example::{Example, SECRET};

#[test]
fn scratch() {
    let page = Example::busy().page();
    std::fs::write("/tmp/h/p2/busy.html", &page).unwrap();
    std::fs::write("/tmp/h/p2/well.html", Example::well().page()).unwrap();
    assert!(!page.contains(SECRET));
}
