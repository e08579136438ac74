//! A message of any size passes through a process of a small one.

use super::{Office, SUPPORT, message};

#[test]
fn a_message_of_150_mib_takes_less_than_32_mib() {
    let office = Office::new("graph");
    let mut large = message(0);
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    while large.len() < 150 << 20 {
        large.extend_from_slice(&line);
    }
    office.m365.deliver(SUPPORT, "INBOX", &large);
    for n in 1..40 {
        office.deliver("INBOX", n);
    }
    // A shell that says how large its largest child was, in KiB.
    let run = office.fetch();
    let command = run.command();
    let mut python = std::process::Command::new("python3");
    python
        .arg("-c")
        .arg(
            "import resource, subprocess, sys\n\
             code = subprocess.call(sys.argv[1:])\n\
             print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
             sys.exit(code)",
        )
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = python.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let peak: u64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    assert!(peak < 32 << 10, "{peak} KiB");
    let delivered = office.delivered();
    assert_eq!(delivered.len(), 40);
    assert!(delivered.contains(&large));
}
