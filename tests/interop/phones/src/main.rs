//! What a phone's library sees and says, as lines of JSON.
//!
//!     phone browse  standard|swarm NAME                      NAME as in _NAME._tcp.local.
//!     phone announce standard|swarm NAME INSTANCE PORT ADDRESS
//!
//! A browser prints {"event": "found"|"gone"|"bye", "name", "port", "addresses"} at each change. Both
//! stop cleanly when standard input ends.

use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use std::{collections::HashMap, env, io, io::Read, net::IpAddr, thread, time::Duration};
use swarm_discovery::{Discoverer, IpClass, Peer, Protocol};
use tokio::runtime::Runtime;

/// How long the apps go on serving, and answering with `bye`, after they were told to stop.
const LINGER: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["browse", "standard", name] => browse_standard(name),
        ["browse", "swarm", name] => browse_swarm(name),
        ["announce", "standard", name, instance, port, address] => {
            announce_standard(name, instance, port.parse().unwrap(), address)
        }
        ["announce", "swarm", name, instance, port, address] => announce_swarm(
            name,
            instance,
            port.parse().unwrap(),
            address.parse().unwrap(),
        ),
        _ => panic!("see the top of main.rs"),
    }
}

fn tell(event: &str, name: &str, port: u16, mut addresses: Vec<String>) {
    addresses.sort();
    let addresses = addresses.join("\", \"");
    let addresses = if addresses.is_empty() {
        addresses
    } else {
        format!("\"{addresses}\"")
    };
    println!(
        "{{\"event\": \"{event}\", \"name\": \"{name}\", \"port\": {port}, \"addresses\": [{addresses}]}}"
    );
}

fn wait_until_told_to_stop() {
    tell("started", "", 0, vec![]);
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn service_type(name: &str) -> String {
    format!("_{name}._tcp.local.")
}

fn browse_standard(name: &str) {
    let daemon = ServiceDaemon::new().unwrap();
    let service_type = service_type(name);
    let events = daemon.browse(&service_type).unwrap();
    let suffix = format!(".{service_type}");
    thread::spawn(move || {
        while let Ok(event) = events.recv() {
            match event {
                ServiceEvent::ServiceResolved(found) => tell_resolved(&found, &suffix),
                ServiceEvent::ServiceRemoved(_, full) => {
                    tell("gone", full.trim_end_matches(&suffix), 0, vec![])
                }
                _ => {}
            }
        }
    });
    wait_until_told_to_stop();
}

fn tell_resolved(found: &ResolvedService, suffix: &str) {
    let addresses = found.addresses.iter().map(|ip| ip.to_ip_addr().to_string());
    let name = found.fullname.trim_end_matches(suffix);
    tell("found", name, found.port, addresses.collect());
}

fn announce_standard(name: &str, instance: &str, port: u16, address: &str) {
    let daemon = ServiceDaemon::new().unwrap();
    let host = format!("{}.local.", instance.to_lowercase());
    let nothing: &[(&str, &str)] = &[];
    let info =
        ServiceInfo::new(&service_type(name), instance, &host, address, port, nothing).unwrap();
    let full = info.get_fullname().to_string();
    daemon.register(info).unwrap();
    wait_until_told_to_stop();
    daemon.unregister(&full).unwrap().recv().unwrap();
    daemon.shutdown().unwrap().recv().unwrap();
}

/// Set up as the apps do.
fn discoverer(name: &str, peer_id: &str) -> Discoverer {
    Discoverer::new_interactive(name.to_string(), peer_id.to_string())
        .with_protocol(Protocol::Tcp)
        .with_ip_class(IpClass::V4Only)
}

fn browse_swarm(name: &str) {
    let runtime = Runtime::new().unwrap();
    let mut told: HashMap<String, (&str, u16, Vec<String>)> = HashMap::new();
    let guard = discoverer(name, &format!("browse-{}-0", std::process::id()))
        .with_callback(move |id, peer| {
            let now = seen(peer);
            if told.get(id) != Some(&now) {
                tell(now.0, id, now.1, now.2.clone());
                told.insert(id.to_string(), now);
            }
        })
        .spawn(runtime.handle())
        .unwrap();
    wait_until_told_to_stop();
    drop(guard);
}

fn seen(peer: &Peer) -> (&'static str, u16, Vec<String>) {
    let port = peer.addrs().first().map_or(0, |(_, port)| *port);
    let addresses = peer.addrs().iter().map(|(ip, _)| ip.to_string()).collect();
    if peer.is_expiry() {
        ("gone", 0, vec![])
    } else if peer.txt_attribute("bye").is_some() {
        ("bye", port, addresses)
    } else {
        ("found", port, addresses)
    }
}

fn announce_swarm(name: &str, instance: &str, port: u16, address: IpAddr) {
    let runtime = Runtime::new().unwrap();
    let guard = discoverer(name, instance)
        .with_addrs(port, [address])
        .spawn(runtime.handle())
        .unwrap();
    wait_until_told_to_stop();
    guard.set_txt_attribute("bye".to_string(), None).unwrap();
    thread::sleep(LINGER);
    drop(guard);
}
