//! The table of addresses that may not be reached.

use std::net::IpAddr;

use kapelle_outbound::AddressPolicy;
use rstest::rstest;

fn refusal(policy: &AddressPolicy, address: &str) -> Option<&'static str> {
    let address: IpAddr = address.parse().unwrap();
    policy.check(address).err().map(|refused| refused.kind)
}

#[rstest]
#[case("0.0.0.0", "the unspecified address")]
#[case("0.1.2.3", "an address of this network")]
#[case("10.0.0.0", "a private address")]
#[case("10.255.255.255", "a private address")]
#[case("100.64.0.1", "a carrier's shared address")]
#[case("100.127.255.255", "a carrier's shared address")]
#[case("100.100.100.200", "a cloud's metadata address")]
#[case("127.0.0.1", "a loopback address")]
#[case("127.255.255.255", "a loopback address")]
#[case("168.63.129.16", "a cloud's metadata address")]
#[case("169.254.0.1", "a link-local address")]
#[case("169.254.169.254", "a cloud's metadata address")]
#[case("172.16.0.1", "a private address")]
#[case("172.31.255.255", "a private address")]
#[case("192.0.0.8", "a reserved address")]
#[case("192.0.2.1", "a documentation address")]
#[case("192.88.99.1", "a 6to4 relay address")]
#[case("192.168.1.1", "a private address")]
#[case("198.18.0.1", "a benchmarking address")]
#[case("198.19.255.255", "a benchmarking address")]
#[case("198.51.100.7", "a documentation address")]
#[case("203.0.113.7", "a documentation address")]
#[case("224.0.0.1", "a multicast address")]
#[case("239.255.255.255", "a multicast address")]
#[case("240.0.0.1", "a reserved address")]
#[case("255.255.255.255", "the broadcast address")]
#[case("::", "the unspecified address")]
#[case("::1", "a loopback address")]
#[case("::7f00:1", "an IPv4-compatible address")]
#[case("::8.8.8.8", "an IPv4-compatible address")]
#[case("::ffff:127.0.0.1", "a loopback address")]
#[case("::ffff:10.1.2.3", "a private address")]
#[case("::ffff:a9fe:a9fe", "a cloud's metadata address")]
#[case("::ffff:0:127.0.0.1", "a reserved address")]
#[case("64:ff9b::7f00:1", "an address translated to IPv4")]
#[case("64:ff9b::808:808", "an address translated to IPv4")]
#[case("64:ff9b:1::1", "an address translated to IPv4")]
#[case("100::1", "a discard-only address")]
#[case("2001::1", "a Teredo address")]
#[case("2001:10::1", "a reserved address")]
#[case("2001:db8::1", "a documentation address")]
#[case("2002:7f00:1::", "a 6to4 address")]
#[case("3fff::1", "a documentation address")]
#[case("4000::1", "a reserved address")]
#[case("5f00::1", "a reserved address")]
#[case("fc00::1", "a unique local address")]
#[case("fd12:3456::1", "a unique local address")]
#[case("fd00:ec2::254", "a cloud's metadata address")]
#[case("fe80::1", "a link-local address")]
#[case("febf::1", "a link-local address")]
#[case("fec0::1", "a site-local address")]
#[case("ff02::1", "a multicast address")]
fn special_addresses_are_refused_by_their_kind(#[case] address: &str, #[case] kind: &str) {
    assert_eq!(refusal(&AddressPolicy::default(), address), Some(kind));
}

#[rstest]
fn the_public_internet_is_allowed(
    #[values(
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450::1"
    )]
    address: &str,
) {
    assert_eq!(refusal(&AddressPolicy::default(), address), None);
}

#[test]
fn an_allowed_range_opens_itself_and_nothing_else() {
    let policy = AddressPolicy::new(vec![
        "10.20.0.0/16".parse().unwrap(),
        "fd00:1::/32".parse().unwrap(),
    ]);
    assert_eq!(refusal(&policy, "10.20.30.40"), None);
    assert_eq!(refusal(&policy, "::ffff:10.20.30.40"), None);
    assert_eq!(refusal(&policy, "fd00:1::5"), None);
    assert_eq!(refusal(&policy, "10.21.0.1"), Some("a private address"));
    assert_eq!(
        refusal(&policy, "::10.20.30.40"),
        Some("an IPv4-compatible address")
    );
    assert_eq!(
        refusal(&policy, "fd00:2::5"),
        Some("a unique local address")
    );
}

#[test]
fn allowing_every_ipv6_address_does_not_open_mapped_ipv4_ones() {
    let policy = AddressPolicy::new(vec!["::/0".parse().unwrap()]);
    assert_eq!(refusal(&policy, "::1"), None);
    assert_eq!(
        refusal(&policy, "::ffff:127.0.0.1"),
        Some("a loopback address")
    );
}
