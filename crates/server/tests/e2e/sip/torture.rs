//! The messages of RFC 4475, sent to the program that runs. Their verdicts are in the gateway's tests; here it is proved that
//! they come out of the socket, and that the program is none the worse for it.

use std::{io::Write, net::SocketAddr, path::Path};

use tokio::net::UdpSocket;

use super::{
    lab::{Lab, Place, Scene},
    message::Message,
};
use crate::server::PATIENCE;

/// Who must get what: the Call-ID of a message, and the status of its answer. OPTIONS and the last, which belongs to no
/// dialog, are answered by the gateway; the others by the guard.
const ANSWERS: [(&str, &str); 7] = [
    // MESSAGE, which is no method of a telephone call: the gateway's own test of these messages takes every method.
    ("3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..", "405"),
    ("badvers.31417@c.example.com", "505"),
    // OPTIONS that was not to go further: whom it reached answers.
    ("zeromf.jfasdlfnm2o2l43r5u0asdfas", "200"),
    ("bext01.0ha0isndaksdj", "420"),
    ("mismatch02.dj0234sxdfl3", "501"),
    ("ncl.0ha0isndaksdj2193423r542w35", "400"),
    ("wsinv.ndaksdj@192.0.2.1", "481"),
];

/// The messages, by name; none where they are not at hand.
fn messages() -> Vec<(String, Vec<u8>)> {
    // Beside the project, or beside the folder in which its worktrees are.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = above.map(|folder| folder.join("shared/fixtures/rfc4475"));
    let Some(folder) = folders.find(|folder| folder.is_dir()) else {
        // Past what the test harness captures: nobody shall believe that this was tested.
        let _ = writeln!(std::io::stderr(), "NOT TESTED: no shared/fixtures/rfc4475 beside the project");
        return Vec::new();
    };
    let entries = std::fs::read_dir(&folder).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut messages: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "sip"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("a message")))
        .collect();
    messages.sort();
    messages
}

/// What the guard has done: messages that it passed, answered and dropped.
async fn judged(lab: &Lab<'_>) -> [u64; 3] {
    let metrics = lab.server.get("/metrics").await.text;
    let sum = |what: &dyn Fn(&str) -> bool| {
        let lines = metrics.lines().filter(|line| what(line));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let guard = |outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        sum(&|line| line.starts_with("pegcount_sip_guard_total{") && line.contains(&outcome))
    };
    [sum(&|line| line.starts_with("pegcount_sip_messages_total ")), guard("answered"), guard("dropped")]
}

/// Sends all of them from an address, and says what became of them once each was judged.
async fn torture(lab: &Lab<'_>, socket: &UdpSocket, messages: &[(String, Vec<u8>)]) -> [u64; 3] {
    let before = judged(lab).await;
    for (name, message) in messages {
        socket.send_to(message, lab.gateway()).await.expect(name);
    }
    lab.wait("the verdicts", async || {
        let mut now = judged(lab).await;
        now.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        (now.iter().sum::<u64>() == messages.len() as u64).then_some(now)
    })
    .await
}

/// Reads answers until all have come that must come.
async fn answered(socket: &UdpSocket) {
    let mut missing = Vec::from(ANSWERS);
    let mut buffer = vec![0; 65_536];
    let all = async {
        while !missing.is_empty() {
            let (length, _) = socket.recv_from(&mut buffer).await.expect("an answer");
            let answer = Message { text: String::from_utf8_lossy(&buffer[..length]).into_owned() };
            if answer.kind() != "100"
                && let Some(at) = missing.iter().position(|(id, _)| answer.headers("Call-ID") == [*id])
            {
                let (_, status) = missing.swap_remove(at);
                assert_eq!(answer.kind(), status, "{}", answer.text);
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    assert!(ended.is_ok(), "nobody answered {missing:?}");
}

#[tokio::test]
async fn the_torture_messages_of_rfc_4475_leave_nothing_behind_and_calls_go_on() {
    let messages = messages();
    if messages.is_empty() {
        return;
    }
    assert_eq!(messages.len(), 49);
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let at = |host| async move { UdpSocket::bind::<SocketAddr>(host).await.expect("a socket") };
    // Answers go to the port of the Via: mostly the usual one.
    let (trunk, stranger) = (at(place.network.at(2)).await, at(place.network.at(6)).await);
    assert_eq!(torture(&lab, &trunk, &messages).await, [19, 27, 3]);
    answered(&trunk).await;
    // Who is nobody here gets no answer to anything.
    assert_eq!(torture(&lab, &stranger, &messages).await, [0, 0, 49]);
    let nothing = stranger.try_recv(&mut [0; 1]).expect_err("no answer");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);

    lab.nothing_is_live().await;
    // The trunk's attempts to call are failed calls, those that the guard answered too; the stranger's are none.
    lab.wait("the refused attempts", async || (lab.total("failed").await == 13).then_some(())).await;
    assert_eq!(lab.server.get("/v1/calls").await.expect(200)["total"], 13);
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    caller.hang_up().await;
    callee.hung_up().await;
    lab.wait("the call", async || (lab.total("completed").await == 1).then_some(())).await;
    assert!(!lab.server.log().contains("panic"), "{}", lab.server.log());
    assert!(lab.server.terminate().success());
}
