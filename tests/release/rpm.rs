//! The RPM package: what rpm and rpmlint say of it, and its scripts, run in a fresh Debian, which has
//! the same tools for users. Nobody has run it on a system of RPMs yet (docs/tested.md).

use super::debian::Debian;
use super::{make, succeeds};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "make test-release"]
fn rpm_reads_installs_and_erases_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let package = make("rpm", &folder.path().join("one"), &[]);
    let again = make("rpm", &folder.path().join("two"), &[]);
    assert!(
        fs::read(&package).unwrap() == fs::read(again).unwrap(),
        "not reproducible"
    );

    let lint = succeeds(
        Command::new("rpmlint")
            .arg("--config")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rpmlint.toml"))
            .arg(&package),
    );
    assert!(lint.contains(" 0 errors, 0 warnings"), "{lint}");
    let files = succeeds(Command::new("rpm").args(["-qplv"]).arg(&package));
    for expected in [
        "-rwxr-xr-x 1 root root",
        "/usr/bin/queuemail",
        "man5/queuemail.yaml.5.gz",
    ] {
        let squeezed: Vec<String> = files
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(
            squeezed.iter().any(|line| line.contains(expected)),
            "{expected}\n{files}"
        );
    }

    let debian = Debian::new();
    debian.run("apt-get -qy --no-install-recommends install libssl3 ca-certificates");
    let rpm = |words: &[&str]| {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(debian.root()).args(words);
        command
    };
    // Debian's database knows of no RPMs, so what the package asks for is not looked up.
    succeeds(rpm(&["--install", "--nodeps"]).arg(&package));
    debian.run("rpm --version 2>/dev/null || true; queuemail --version");
    let owners = debian.run(
        "stat -c '%a %U:%G %n' /etc/queuemail /etc/queuemail/* /etc/credstore/queuemail /var/lib/queuemail",
    );
    assert_eq!(
        owners,
        "750 queuemail:queuemail /etc/queuemail\n\
         600 queuemail:queuemail /etc/queuemail/config.yaml\n\
         700 root:root /etc/credstore/queuemail\n\
         700 queuemail:queuemail /var/lib/queuemail\n"
    );
    debian.run("setpriv --reuid queuemail --regid queuemail --init-groups --reset-env queuemail config validate");
    debian.run("echo '# mine' >>/etc/queuemail/config.yaml");
    succeeds(&mut rpm(&["--erase", "queuemail"]));
    debian.run("! command -v queuemail && grep -q '# mine' /etc/queuemail/config.yaml.rpmsave");
}
