//! A hundred queues by script: the parts of docs/provisioning.md, run as they stand there.

use crate::world::World;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

const QUEUES: usize = 100;

/// A hundred queues shall be there within five seconds. Where others take their share of a slow
/// machine, no more of the processors' time than this is taken for them, in seconds.
const BOUND: f64 = 10.0;

/// The code block of a language in docs/provisioning.md that holds these words.
fn block(language: &str, words: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/provisioning.md");
    let text = fs::read_to_string(path).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .find(|block| block.contains(words))
        .unwrap_or_else(|| panic!("no block of {language} with {words}"))
}

/// A command in the world's home, which finds the binary under test by its name.
fn command(world: &World, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_queuemail"));
    let folder = binary.parent().unwrap().display();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", world.home())
        .env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
        .env("LANG", "C.UTF-8")
        .current_dir(world.home());
    command
}

#[track_caller]
fn succeeds(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn shell(world: &World, script: &str) -> String {
    let mut sh = command(world, "sh");
    sh.args(["-eu", "-c", script]);
    String::from_utf8(succeeds(sh).stdout).unwrap()
}

/// The document's list of queues, with more to make a hundred.
fn list() -> String {
    let mut list = block("csv", "");
    for i in list.lines().skip(1).count()..QUEUES {
        list += &format!("queue {i},queue.{i}@contoso.com,pt-BR,{i}\n");
    }
    list
}

/// A world with the server of the document, and the list.
fn world() -> World {
    let world = World::new();
    world.write("contoso.secret", "s3cret\n");
    assert_eq!(shell(&world, &block("sh", "server add")), "created\n");
    world.write("queues.csv", list());
    world
}

/// The seconds that a shell's `times` tells of its children, in user and system mode.
fn seconds(times: &str) -> f64 {
    let children = times.lines().nth(1).unwrap();
    let second = |text: &str| {
        let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
        60.0 * minutes.parse::<f64>().unwrap() + seconds.parse::<f64>().unwrap()
    };
    children.split(' ').map(second).sum()
}

/// A command for each queue, as scripts have it that are older than `--from-file`.
const LOOP: &str = "\
sed 1d queues.csv | while IFS=, read -r queue address language priority; do
    queuemail queue add \"$queue\" --address \"$address\" --server Contoso \\
        --queue-language \"$language\" --queue-priority \"$priority\" \\
        --deliver 'maildir:~/Mail/{queue}' || exit
done";

#[test]
fn a_list_makes_a_hundred_queues_at_once() {
    let world = world();
    let script = &block("sh", "queue add");
    let printed = shell(&world, script);
    assert_eq!(printed.matches(": created ").count(), QUEUES, "{printed}");
    let before = identity(&world);
    let printed = shell(&world, script);
    assert_eq!(printed.matches(": unchanged ").count(), QUEUES, "{printed}");
    // The loop finds what the list has made.
    assert_eq!(shell(&world, LOOP), "unchanged\n".repeat(QUEUES));
    assert_eq!(identity(&world), before);
}

#[test]
fn a_loop_of_the_shell_makes_a_hundred_queues_in_five_seconds() {
    let world = world();
    let start = Instant::now();
    let printed = shell(&world, &format!("{LOOP}\ntimes"));
    let took = start.elapsed().as_secs_f64();
    let (results, times) = printed.split_at("created\n".len() * QUEUES);
    assert_eq!(results, "created\n".repeat(QUEUES));
    let worked = seconds(times);
    eprintln!("{QUEUES} queues: {took:.2} s, of the processors {worked:.2} s");
    assert!(worked < BOUND, "{took} s, of the processors {worked} s");
    world
        .run(["config", "validate"])
        .succeeds()
        .prints("valid: incoming servers 1, outgoing servers 0, queues 100, addresses 100\n");
    let before = identity(&world);
    assert_eq!(shell(&world, LOOP), "unchanged\n".repeat(QUEUES));
    assert_eq!(identity(&world), before);
}

/// The file's bytes and its very inode: nothing was written, not even the same again.
fn identity(world: &World) -> (u64, String) {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(world.config_path()).unwrap().ino();
    (inode, world.config())
}

/// Ansible as `scripts/need test` installs it.
fn ansible() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ansible/bin/ansible-playbook");
    assert!(
        path.exists(),
        "Ansible is not installed: run `scripts/need test`"
    );
    path
}

/// Plays a playbook twice: what it made, and that the second time changes nothing. Gives the
/// seconds that its longest task took the first time; Ansible itself takes some more.
fn plays(playbook: &str, list: &str, queues: usize) -> f64 {
    let world = World::new();
    let variables = serde_json::json!({ "contoso_secret": "s3cret value" });
    world.write("playbook.yml", playbook);
    world.write("queues.csv", list);
    world.write("variables.json", variables.to_string());
    world.write("hosts", "mail ansible_connection=local\n");
    let play = || {
        let mut playbook = command(&world, ansible());
        playbook
            .args(["-v", "-i", "hosts", "playbook.yml", "-e", "@variables.json"])
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_LOCALHOST_WARNING", "0");
        let said = String::from_utf8(succeeds(playbook).stdout).unwrap();
        assert!(!said.contains("s3cret"), "{said}");
        said
    };
    let said = play();
    // As `"delta": "0:00:02.715346"`.
    let deltas = said.split("\"delta\": \"0:00:").skip(1);
    let took = deltas
        .map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap())
        .fold(0.0, f64::max);
    assert!(said.contains("changed=2 "), "{said}");
    assert!(world.config().contains("secret: s3cret value\n"));
    let valid = format!(
        "valid: incoming servers 1, outgoing servers 0, queues {queues}, addresses {queues}\n"
    );
    world.run(["config", "validate"]).succeeds().prints(&valid);
    let before = identity(&world);
    let said = play();
    assert!(said.contains("changed=0 "), "{said}");
    assert_eq!(identity(&world), before);
    took
}

#[test]
fn an_ansible_playbook_makes_a_hundred_queues_and_changes_nothing_again() {
    let took = plays(&block("yaml", "hosts:"), &list(), QUEUES);
    eprintln!("{QUEUES} queues by Ansible's task: {took:.2} s");
    assert!(took > 0.0, "it says how long it took");
}

#[test]
fn an_ansible_loop_makes_a_few_queues() {
    let (playbook, task) = (block("yaml", "hosts:"), block("yaml", "loop:"));
    let (before, rest) = playbook.split_once("    - name: The queues\n").unwrap();
    let at = rest.find("    - name: ").unwrap();
    plays(&format!("{before}{task}\n{}", &rest[at..]), "", 2);
}
