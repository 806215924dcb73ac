//! The client is an address that stands in the field's lines, or the peer.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use arbitrary::Arbitrary;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower_gateway::client_ip::{ClientIp, ClientIpLayer, ForwardedField, PeerAddr};
use tower_gateway_fuzz::inside;

const PEER: [u8; 4] = [10, 9, 9, 9];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    hops: u8,
    rfc_7239: bool,
    lines: Vec<&'a str>,
}

fuzz_target!(|input: Input<'_>| {
    let values = input.lines.iter().filter_map(|line| HeaderValue::from_str(line).ok());
    let lines: Vec<HeaderValue> = values.collect();
    let (field, name) = match input.rfc_7239 {
        true => (ForwardedField::Forwarded, "forwarded"),
        false => (ForwardedField::XForwardedFor, "x-forwarded-for"),
    };
    let by_hops = ClientIpLayer::behind_proxies(input.hops.into());
    let by_network = ClientIpLayer::trusting(["10.0.0.0/8", "fd00::/8"]).expect("networks");
    for (trusts_anyone, layer) in [(input.hops > 0, by_hops), (true, by_network)] {
        let client = client(&layer.field(field), name, &lines);
        let is_said = trusts_anyone && stands_in(&lines, client);
        assert!(client == IpAddr::from(PEER) || is_said, "{client}");
        assert_eq!(client, client.to_canonical());
    }
});

fn client(layer: &ClientIpLayer, name: &'static str, lines: &[HeaderValue]) -> IpAddr {
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr(SocketAddr::from((PEER, 4711))));
    for line in lines {
        request.headers_mut().append(name, line.clone());
    }
    let request = inside(layer, request).expect("everyone is admitted");
    request.extensions().get::<ClientIp>().expect("there is a peer").ip()
}

/// Whether a piece of a line, cut wherever an address can end, reads as this one.
fn stands_in(lines: &[HeaderValue], client: IpAddr) -> bool {
    let ends = [',', ';', '=', '"', ' ', '\t'];
    let texts = lines.iter().filter_map(|line| line.to_str().ok());
    texts.flat_map(|text| text.split(ends)).any(|piece| {
        let bare = piece.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let with_port = piece.parse::<SocketAddr>().map(|it| it.ip()).ok();
        bare.or(with_port).is_some_and(|it| it.to_canonical() == client)
    })
}
