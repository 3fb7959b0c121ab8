//! Ports for programs that take a port number, and can't be given an open listener.
//!
//! A port that the system picks is free only as long as nobody else asks: another test, another test process, or any outgoing connection may get it
//! before the program listens. A connection to a port of that range may even meet itself. So these ports are below the range of outgoing connections,
//! and each is leased by a locked file until the process that asked for it ends.

use std::{
    fs::{File, OpenOptions},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::PathBuf,
    sync::Mutex,
};

/// Below 32,768, where Linux begins to pick ports for outgoing connections.
const PORTS: Range<u16> = 20_000..32_000;

/// The files whose locks are this process's leases; they are never closed before its end.
static LEASES: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of the loopback that nobody listens on, and that nobody else who asks here is given while this process lives.
pub fn free_port() -> u16 {
    let mut leases = LEASES.lock().unwrap();
    let folder = folder();
    // Processes that run side by side begin at different places, so that they seldom ask for the same port.
    let start = u16::try_from((std::process::id().wrapping_mul(61)) % u32::from(PORTS.end - PORTS.start)).unwrap();
    for step in 0..PORTS.end - PORTS.start {
        let port = PORTS.start + (start + step) % (PORTS.end - PORTS.start);
        let path = folder.join(port.to_string());
        // One that another user has made is theirs.
        let Ok(lease) = OpenOptions::new().create(true).truncate(false).write(true).open(&path) else { continue };
        if lease.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            leases.push(lease);
            return port;
        }
    }
    panic!("every port from {} to {} is taken", PORTS.start, PORTS.end - 1);
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join("trackdrop-ports");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, thread};

    #[test]
    fn no_two_callers_are_given_one_port_though_nobody_listens_yet() {
        let callers: Vec<_> =
            (0..8).map(|_| thread::spawn(|| (0..50).map(|_| free_port()).collect::<Vec<_>>())).collect();
        let ports: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }

    #[test]
    fn a_port_is_none_that_an_outgoing_connection_may_take() {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(PORTS.end <= first, "outgoing connections begin at {first}");
    }

    #[test]
    fn another_process_is_given_another_port() {
        let port = free_port();
        let path = folder().join(port.to_string());
        // A lock belongs to the open file, so opening it again has the same effect as another process.
        assert!(OpenOptions::new().write(true).open(path).unwrap().try_lock().is_err());
    }
}
