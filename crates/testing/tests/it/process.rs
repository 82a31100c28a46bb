//! The child process fixture, with a shell in the place of the binary.

use std::process::Command;

use kapelle_testing::process::Process;

fn shell(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::start(command)
}

#[tokio::test]
async fn a_line_of_either_stream_is_found_and_its_url_read() {
    let mut process = shell("echo starting; echo 'Listening on http://127.0.0.1:4711/.' >&2");

    assert_eq!(process.line("start").await, "starting");
    assert_eq!(process.url("Listening").await, "http://127.0.0.1:4711");
    let ended = process.end().await;
    assert!(ended.status.success());
}

#[tokio::test]
#[should_panic(expected = "it ended without writing \"ready\":\nall that it wrote")]
async fn an_end_without_the_awaited_line_fails_with_the_log() {
    shell("echo all that it wrote").line("ready").await;
}

#[tokio::test]
async fn a_process_is_asked_to_end_and_leaves_its_whole_log() {
    let script = "trap 'echo going; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let process = shell(script);
    process.line("ready").await;

    let ended = process.terminate().await;

    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(ended.log, "ready\ngoing");
}

#[tokio::test]
async fn a_killed_process_has_no_exit_code() {
    let process = shell("echo ready; exec sleep 600");
    process.line("ready").await;

    assert_eq!(process.kill().await.status.code(), None);
}
