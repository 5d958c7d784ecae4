//! Why a connection is turned away, why a request head is refused, and the status that says so.

/// Why a connection is closed before anything of HTTP is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TurnedAway {
    /// The server has as many connections as it may have.
    ServerFull,
    /// The listener has.
    ListenerFull,
    /// The address has.
    AddressFull,
    /// The address opens connections faster than anybody needs them.
    Flood,
    /// Only trusted proxies may connect, and this is none.
    Untrusted,
    /// The PROXY protocol's header is missing, malformed or late.
    ProxyHeader,
}

impl TurnedAway {
    /// The word for logs and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ServerFull => "server-full",
            Self::ListenerFull => "listener-full",
            Self::AddressFull => "address-full",
            Self::Flood => "flood",
            Self::Untrusted => "untrusted",
            Self::ProxyHeader => "proxy-header",
        }
    }
}

/// What is wrong with a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadRefusal {
    /// A line ends with LF alone.
    BareLf,
    /// A CR stands without its LF.
    BareCr,
    /// A control byte that is no line ending.
    Control,
    /// Not `method SP target SP version`, or more than one empty line before it.
    RequestLine,
    /// The method is not a token.
    Method,
    /// `CONNECT`, which this gateway does not offer.
    Connect,
    /// An illegal byte in the target, or a form that does not fit the method.
    Target,
    /// A version other than 1.0 and 1.1.
    Version,
    /// A field continues on the next line.
    ObsFold,
    /// A field without a name, or whose name is not a token.
    FieldName,
    /// Space or tab between field name and colon.
    SpaceBeforeColon,
    /// `Content-Length` is not plain digits that fit.
    ContentLength,
    /// More than one `Content-Length`.
    ContentLengthRepeated,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthBesideCoding,
    /// `Transfer-Encoding` repeated, a list with `chunked` in it, or `chunked` misspelt.
    TransferEncoding,
    /// A transfer coding that we do not have (RFC 9112, section 6.1 asks for 501).
    CodingUnknown,
    /// `Transfer-Encoding` in HTTP/1.0, where it has no meaning.
    CodingInOldVersion,
    /// No `Host` where one must be.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is not `host[:port]`.
    HostMalformed,
    /// `Host` and the absolute target name different places.
    HostDisagrees,
    /// `Expect` says something other than `100-continue`.
    Expectation,
    /// The target is longer than allowed.
    UriTooLong,
    /// The head is longer than allowed.
    HeadTooLarge,
    /// More fields than allowed.
    HeadersTooMany,
    /// The head was not complete in time.
    Timeout,
}

impl HeadRefusal {
    /// The status to answer with.
    pub const fn status(self) -> u16 {
        self.status_and_code().0
    }

    /// The stable code for problem answers, logs and metrics.
    pub const fn code(self) -> &'static str {
        self.status_and_code().1
    }

    const fn status_and_code(self) -> (u16, &'static str) {
        match self {
            Self::BareLf => (400, "head.bare-lf"),
            Self::BareCr => (400, "head.bare-cr"),
            Self::Control => (400, "head.control-byte"),
            Self::RequestLine => (400, "head.request-line"),
            Self::Method => (400, "head.method"),
            Self::Connect => (405, "head.connect"),
            Self::Target => (400, "head.target"),
            Self::Version => (505, "head.version"),
            Self::ObsFold => (400, "head.folded-field"),
            Self::FieldName => (400, "head.field-name"),
            Self::SpaceBeforeColon => (400, "head.space-before-colon"),
            Self::ContentLength => (400, "head.content-length"),
            Self::ContentLengthRepeated => (400, "head.content-length-repeated"),
            Self::LengthBesideCoding => (400, "head.length-beside-coding"),
            Self::TransferEncoding => (400, "head.transfer-encoding"),
            Self::CodingUnknown => (501, "head.coding-unknown"),
            Self::CodingInOldVersion => (400, "head.coding-in-http-1-0"),
            Self::HostMissing => (400, "head.host-missing"),
            Self::HostRepeated => (400, "head.host-repeated"),
            Self::HostMalformed => (400, "head.host-malformed"),
            Self::HostDisagrees => (400, "head.host-disagrees"),
            Self::Expectation => (417, "head.expectation"),
            Self::UriTooLong => (414, "head.uri-too-long"),
            Self::HeadTooLarge => (431, "head.too-large"),
            Self::HeadersTooMany => (431, "head.too-many-fields"),
            Self::Timeout => (408, "head.timeout"),
        }
    }
}
