//! What goes wrong between a publisher and a real server.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trustgate::image::Digest;
use trustgate::keys::PrivateKey;
use trustgate::trust::publish::{Event, Outcome, SignOptions, Step};

use super::{Machine, block_on, gun, passphrases, published, target};
use crate::support::{Lab, lab};

#[test]
fn eight_publishers_at_once_all_succeed() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let gun = gun("parallel");
    published(machine.sign(&gun, "v0", b"zero"));
    let key = machine.signer_key("alice", &PrivateKey::generate_ed25519().expect("a key"));
    let tags: Vec<String> = (0..8).map(|it| format!("v{it}-parallel")).collect();
    for round in 0..2 {
        let conflicts: u32 = std::thread::scope(|scope| {
            let running: Vec<_> = tags
                .iter()
                .map(|tag| {
                    let (machine, gun) = (&machine, &gun);
                    scope.spawn(move || {
                        let content = format!("{tag} {round}");
                        published(machine.sign(gun, tag, content.as_bytes())).conflicts
                    })
                })
                .collect();
            running.into_iter().map(|it| it.join().expect("a publication")).sum()
        });
        assert!(0 < conflicts, "they never met");
        let stranger = Machine::new(lab);
        for tag in &tags {
            let expected = Digest::of(format!("{tag} {round}").as_bytes());
            assert_eq!(stranger.digest(&gun, tag).expect("a digest"), expected);
        }
        if round == 0 {
            machine.add_signer(&gun, "alice", &key);
        }
    }
}

#[test]
fn the_first_push_of_many_at_once() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let gun = gun("parallel-first");
    published(machine.sign(&super::gun("before-parallel"), "v0", b"makes the root key"));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (machine, gun) = (&machine, &gun);
            scope.spawn(move || published(machine.sign(gun, &format!("v{number}"), b"content")));
        }
    });
    let stranger = Machine::new(lab);
    for number in 0..4 {
        stranger.digest(&gun, &format!("v{number}")).expect("a digest");
    }
}

#[test]
fn a_publisher_that_is_stopped_at_any_step_can_start_again() {
    let Some(lab) = lab() else { return };
    for (number, stop) in Step::ALL.into_iter().enumerate() {
        let machine = Machine::new(lab);
        for repository in 0..2 {
            let gun = gun(&format!("stopped-{number}-{repository}"));
            let publisher = machine.publisher().with_events(Arc::new(move |event| {
                if event == Event::Reached(stop) {
                    std::panic::resume_unwind(Box::new("stopped"));
                }
            }));
            let tags = [("v1".to_owned(), target(b"one"))];
            let stopped = catch_unwind(AssertUnwindSafe(|| {
                block_on(publisher.sign(&gun, &tags, &SignOptions::docker(), &mut passphrases()))
            }));
            assert!(stopped.is_err(), "{stop:?} was never reached");
            let keys: BTreeSet<_> = ids(&machine);
            let outcome = machine.sign(&gun, "v1", b"one").expect("the second try");
            let expected_new = stop < Step::Published && stop != Step::Sent;
            assert_eq!(matches!(outcome, Outcome::Published(_)), expected_new, "{stop:?}");
            assert!(keys.is_subset(&ids(&machine)));
            assert_eq!(ids(&machine).len(), 2 + repository, "{stop:?}: keys were made twice");
            assert_eq!(machine.digest(&gun, "v1").expect("a digest"), Digest::of(b"one"));
            published(machine.sign(&gun, "v2", b"two"));
        }
    }
}

fn ids(machine: &Machine) -> BTreeSet<String> {
    let keys = machine.keys().list().expect("a list").keys;
    keys.into_iter().map(|it| it.id.to_string()).collect()
}

#[test]
fn an_answer_that_is_lost_is_found_out() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let proxy = Proxy::start(lab);
    let folder = machine.config.path().join("tls").join(&proxy.address);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(lab.trust_authority(), folder.join("ca.crt")).expect("the CA's certificate");
    let gun = gun("lost");
    let dropping = Arc::clone(&proxy.dropping);
    let events = Arc::clone(&machine.events);
    let publisher = machine.publisher().with_server(Some(format!("https://{}", proxy.address))).with_events(
        Arc::new(move |event| {
            if event == Event::Reached(Step::Signed) {
                dropping.store(true, Ordering::SeqCst);
            }
            events.lock().expect("events").push(event);
        }),
    );
    for tag in ["v1", "v2"] {
        let tags = [(tag.to_owned(), target(b"content"))];
        let outcome = block_on(publisher.sign(&gun, &tags, &SignOptions::docker(), &mut passphrases()));
        let done = published(outcome);
        assert!(done.answer_lost, "{done:?}");
        let events = machine.events();
        assert!(events.contains(&Event::AnswerLost));
        let signed = events.iter().filter(|it| **it == Event::Reached(Step::Signed)).count();
        assert_eq!(signed, 1, "it was published twice");
        assert_eq!(Machine::new(lab).digest(&gun, tag).expect("a digest"), Digest::of(b"content"));
    }
}

/// Passes bytes on, and loses the server's next words when it is told to.
struct Proxy {
    address: String,
    dropping: Arc<AtomicBool>,
}

impl Proxy {
    fn start(lab: &Lab) -> Self {
        let host = lab.trust_host().split(':').next().expect("a host");
        let listener = TcpListener::bind((host, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let dropping: Arc<AtomicBool> = Arc::default();
        let (server, drops) = (lab.trust_host().to_owned(), Arc::clone(&dropping));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&server).expect("the server");
                let (from, to) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                std::thread::spawn(move || pass(from, to, None));
                let drops = Arc::clone(&drops);
                std::thread::spawn(move || pass(server, client, Some(&drops)));
            }
        });
        Self { address, dropping }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, dropping: Option<&AtomicBool>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if dropping.is_some_and(|it| it.swap(false, Ordering::SeqCst)) {
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
