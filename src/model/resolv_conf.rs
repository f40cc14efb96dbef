//! What /etc/resolv.conf says of how names are looked up, with what stands for the rest (resolv.conf(5)).

use std::time::Duration;

/// Domains that are tried behind a name: as many as Kubernetes lets a pod have. glibc before 2.26 takes 6, musl those of
/// 255 characters; glibc since then takes all.
pub const MOST_DOMAINS: usize = 32;

/// The file's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers that are listed, as they stand there.
    pub nameservers: Vec<String>,
    /// Domains that are tried behind a name.
    pub search: Vec<String>,
    /// Dots that a name needs to be tried as it stands first.
    pub ndots: usize,
    /// How long a server is waited for.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: usize,
}

impl Default for ResolvConf {
    fn default() -> Self {
        let (nameservers, search) = (Vec::new(), Vec::new());
        Self { nameservers, search, ndots: 1, timeout: Duration::from_secs(5), attempts: 2 }
    }
}

impl ResolvConf {
    /// Reads any text: what is not understood says nothing.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.nameservers.extend(words.next().map(str::to_owned)),
                // The last of these two counts.
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf
    }

    /// The last one of a name counts, within the bounds of glibc.
    fn option(&mut self, word: &str) {
        let Some((name, Ok(number))) = word.split_once(':').map(|(name, n)| (name, n.parse::<i64>())) else { return };
        let within = |least: u8, most: u8| u8::try_from(number.clamp(least.into(), most.into())).unwrap_or(most);
        match name {
            "ndots" => self.ndots = within(0, 15).into(),
            "timeout" => self.timeout = Duration::from_secs(within(1, 30).into()),
            "attempts" => self.attempts = within(1, 5).into(),
            _ => {}
        }
    }

    /// The names that are asked for one after the other until one has an address: the name itself, and behind it the first
    /// [`MOST_DOMAINS`] of the search list.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let domains = self.search.iter().map(|domain| domain.trim_matches('.')).filter(|domain| !domain.is_empty());
        let mut all: Vec<String> = domains.take(MOST_DOMAINS).map(|domain| format!("{name}.{domain}")).collect();
        let first = name.matches('.').count() >= self.ndots;
        all.insert(if first { 0 } else { all.len() }, name.to_owned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_in_the_order_of_the_resolver() {
        let text = "nameserver 10.96.0.10\nsearch shop.svc.cluster.local cluster.local\noptions ndots:5\n";
        let conf = ResolvConf::parse(text);
        assert_eq!(conf.candidates("api"), ["api.shop.svc.cluster.local", "api.cluster.local", "api"]);
        assert_eq!(conf.candidates("a.b.c.d.e.f").first().unwrap(), "a.b.c.d.e.f");
        assert_eq!(conf.candidates("api.example.com."), ["api.example.com"]);
        assert_eq!((conf.ndots, conf.nameservers), (5, vec!["10.96.0.10".to_owned()]));
    }

    #[test]
    fn of_a_long_search_list_only_its_beginning_is_tried_and_the_name_itself_always() {
        let conf = ResolvConf::parse(&format!("search {}\n", "d.example ".repeat(20_000)));
        assert_eq!(conf.search.len(), 20_000);
        let candidates = conf.candidates("api");
        assert_eq!((candidates.len(), candidates.last().unwrap().as_str()), (MOST_DOMAINS + 1, "api"));
        assert_eq!(conf.candidates("api.example").first().unwrap(), "api.example");
    }

    #[test]
    fn the_last_one_counts_within_bounds_and_what_is_not_said_is_the_default() {
        let ndots = |text: &str| ResolvConf::parse(text).ndots;
        assert_eq!(ndots("options timeout:1 ndots:2\noptions ndots:99\n"), 15);
        assert_eq!(
            (ndots("# options ndots:5\nnameserver ::1\n"), ndots("options ndots:x"), ndots("options ndots:-1")),
            (1, 1, 0)
        );
        let conf = ResolvConf::parse("options timeout:0 x attempts:9\nsearch a b\ndomain c d\nnameserver\n");
        assert_eq!((conf.timeout, conf.attempts, conf.search), (Duration::from_secs(1), 5, vec!["c".to_owned()]));
        assert_eq!(conf.nameservers, [""; 0]);
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
    }
}
