//! What backends of all versions have in common: scripts in turn or by path, and the record of what came.

/// Methods of a backend that follows such scripts.
macro_rules! scripted {
    ($script:ty) => {
        /// The next request that no earlier `once` took is answered by `script`, whatever its path.
        pub fn once(&self, script: $script) -> &Self {
            lock(&self.shared.scripts).next.push_back(script);
            self
        }

        /// Every request for `path` (compared without the query) is answered by `script`.
        pub fn on(&self, path: &str, script: $script) -> &Self {
            lock(&self.shared.scripts)
                .by_path
                .insert(path.to_owned(), script);
            self
        }

        /// Every request that nothing else fits is answered by `script`.
        pub fn always(&self, script: $script) -> &Self {
            lock(&self.shared.scripts).otherwise = script;
            self
        }

        /// All requests so far; of HTTP/2 with `:authority` and `:scheme` first among the headers. A request counts as soon as
        /// it was read, before it is answered.
        pub fn requests(&self) -> Vec<Recorded> {
            lock(&self.shared.requests).clone()
        }

        /// Waits until at least `count` requests were read, and returns them.
        pub fn wait_requests(&self, count: usize) -> Vec<Recorded> {
            wait::until_some(
                DEADLINE,
                &format!("{count} requests at {}", self.shared.name),
                || Some(self.requests()).filter(|requests| requests.len() >= count),
            )
        }

        /// The newest request.
        pub fn last(&self) -> Recorded {
            self.requests()
                .pop()
                .expect("the backend was asked at least once")
        }

        /// Connections accepted so far.
        pub fn connections(&self) -> usize {
            self.shared.accepted.load(Ordering::SeqCst)
        }

        /// What no client should send. Empty in a healthy test.
        pub fn faults(&self) -> Vec<String> {
            lock(&self.shared.faults).clone()
        }
    };
}

pub(super) use scripted;
