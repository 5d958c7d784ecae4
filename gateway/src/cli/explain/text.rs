//! The story for people: one paragraph a step, plain text, places at the end of the lines.

use crate::cli::table;

use super::story::{
    Change, Field, Forward, Matching, Outcome, Path, Policy, Repeat, Reply, Route, Setting, Story,
    Upstream, Verdict,
};

type Row = Vec<String>;

/// Writes the whole story.
pub(super) fn render(story: &Story) -> String {
    let mut paragraphs = vec![opening(story)];
    paragraphs.extend(story.matching.as_ref().map(matching));
    paragraphs.extend(story.route.as_ref().map(route));
    if !story.policies.is_empty() {
        paragraphs.push(policies(&story.policies));
    }
    match &story.outcome {
        Outcome::Reply(reply) => paragraphs.push(self::reply(reply)),
        Outcome::Forward(forward) => paragraphs.extend(self::forward(forward)),
    }
    paragraphs.join("\n")
}

fn row<const N: usize>(cells: [&str; N]) -> Row {
    cells.map(str::to_owned).to_vec()
}

fn place(at: Option<&String>) -> &str {
    at.map_or("", String::as_str)
}

fn opening(story: &Story) -> String {
    let listener = &story.listener;
    let mut rows = vec![row([
        "listener",
        &format!("{} at {}", listener.name, listener.address),
        place(listener.at.as_ref()),
    ])];
    if let Some(client) = &story.client {
        let mut address = client
            .address
            .map_or("no address".to_owned(), |address| address.to_string());
        if client.secure {
            address.push_str(" by https");
        }
        rows.push(row(["client", &address, &client.how]));
    }
    if let Some(Path { received, normal }) = &story.path {
        rows.push(row([
            "path",
            &format!("{received} → {normal}"),
            "the normal form is what is matched and sent on",
        ]));
    }
    let mut text = format!("{}\n\n{}", story.request, table::lines(&rows, "  "));
    if let Some(method) = &story.preflight_for {
        text.extend([
            "  preflight: routed as the ",
            method,
            " that it asks about\n",
        ]);
    }
    for note in &story.notes {
        text.extend(["  note: ", note, "\n"]);
    }
    text
}

fn matching(matching: &Matching) -> String {
    let hosts = matching.hosts.iter().map(|host| {
        let none = if host.known { "" } else { " (no routes)" };
        format!("{}{none}", host.pattern)
    });
    let mut text = format!(
        "Routes that fit host and path, best first; hosts: {}\n",
        hosts.collect::<Vec<_>>().join(", ")
    );
    if matching.candidates.is_empty() {
        let routes = match matching.routes {
            1 => "not the only route".to_owned(),
            routes => format!("none of the {routes} routes"),
        };
        text.extend(["  ", &routes, " of this listener\n"]);
    }
    let rows: Vec<Row> = matching
        .candidates
        .iter()
        .map(|candidate| {
            let mark = if candidate.chosen { "✓" } else { "✗" };
            let why = candidate.why.as_deref().unwrap_or("chosen");
            row([
                mark,
                &candidate.route,
                &candidate.r#match,
                why,
                place(candidate.at.as_ref()),
            ])
        })
        .collect();
    text + &table::lines(&rows, "  ")
}

fn route(route: &Route) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for Field { name, value } in &route.captures {
        rows.push(row(["captured", &format!("{name} = \"{value}\"")]));
    }
    rows.push(row([
        "action",
        &route.action,
        place(route.action_at.as_ref()),
    ]));
    rows.extend(route.settings.iter().map(setting));
    format!(
        "Route {}  {}\n{}",
        route.name,
        place(route.at.as_ref()),
        table::lines(&rows, "  ")
    )
}

fn setting(setting: &Setting) -> Row {
    let at = setting.at.as_deref().unwrap_or("the default");
    match &setting.like {
        Some(like) => row([setting.key, &setting.value, &format!("{at}, like {like}")]),
        None => row([setting.key, &setting.value, at]),
    }
}

fn policies(policies: &[Policy]) -> String {
    let rows: Vec<Row> = policies
        .iter()
        .map(|policy| {
            let name = policy.name.as_deref().unwrap_or("(inline)");
            let (mark, verdict) = verdict(policy);
            let layer = format!("[{}]", policy.layer);
            row([
                mark,
                policy.plugin,
                name,
                &layer,
                &verdict,
                place(policy.at.as_ref()),
            ])
        })
        .collect();
    let mut text = "Policies, in the order in which they are asked\n".to_owned();
    // Reasons stand below the row that they belong to; the columns are those of all rows.
    for (line, policy) in table::lines(&rows, "  ").lines().zip(policies) {
        text.push_str(line);
        text.push('\n');
        for reason in &policy.why {
            text.push_str("       ");
            text.push_str(reason);
            text.push('\n');
        }
    }
    text
}

fn verdict(policy: &Policy) -> (&'static str, String) {
    let answer = [
        policy.status.map(|status| status.to_string()),
        policy.code.map(str::to_owned),
    ];
    let answer = answer.into_iter().flatten().collect::<Vec<_>>().join(" ");
    match policy.verdict {
        Verdict::Passes => ("✓", "passes".to_owned()),
        Verdict::Answers => ("✓", format!("answers {answer}")),
        Verdict::Refuses => ("✗", format!("refuses {answer}")),
        Verdict::WouldRefuse => ("!", format!("would refuse {answer}, but is in shadow")),
        Verdict::NotAsked => ("·", "not asked".to_owned()),
    }
}

fn reply(reply: &Reply) -> String {
    let Reply {
        by, status, reason, ..
    } = reply;
    let code = reply
        .code
        .map(|code| format!("  {code}"))
        .unwrap_or_default();
    let mut text = format!("Answered by the gateway: {status} {reason}{code}\n  by {by}\n");
    for sentence in reply.title.iter().copied().chain(reply.detail.as_deref()) {
        text.extend(["  ", sentence, "\n"]);
    }
    if !reply.headers.is_empty() {
        text.push('\n');
    }
    text + &fields(&reply.headers, "  ")
}

fn fields(fields: &[Field], before: &str) -> String {
    fields
        .iter()
        .map(|Field { name, value }| {
            format!("{before}{name}: {value}").trim_end().to_owned() + "\n"
        })
        .collect()
}

fn forward(forward: &Forward) -> Vec<String> {
    let mut paragraphs = Vec::new();
    if forward.arms.len() > 1 || forward.why.is_some() {
        paragraphs.push(arms(forward));
    }
    paragraphs.push(upstream(&forward.upstream));
    let changes: String = forward.changes.iter().map(change).collect();
    paragraphs.push(format!(
        "The upstream gets\n  {}\n{changes}",
        forward.request_line
    ));
    if !forward.cache.is_empty() {
        paragraphs.push(format!("The cache\n  {}\n", forward.cache.join("\n  ")));
    }
    if !forward.retry.is_empty() {
        paragraphs.push(retry(&forward.retry));
    }
    if let Some(hedge) = &forward.hedge {
        paragraphs.push(format!("A second target\n  {hedge}\n"));
    }
    if !forward.answer_gets.is_empty() {
        paragraphs.push(format!(
            "The policies add to its answer\n{}",
            fields(&forward.answer_gets, "  + ")
        ));
    }
    paragraphs
}

fn arms(forward: &Forward) -> String {
    let rows: Vec<Row> = forward
        .arms
        .iter()
        .map(|arm| {
            let mark = if arm.chosen { "✓" } else { "·" };
            let weight = arm
                .weight
                .map(|weight| format!("weight {weight}"))
                .unwrap_or_default();
            let percent = arm
                .percent
                .map(|percent| format!("{percent}%"))
                .unwrap_or_default();
            row([mark, &arm.upstream, &weight, &percent])
        })
        .collect();
    let why = forward
        .why
        .as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    format!("Choice of the upstream{why}\n{}", table::lines(&rows, "  "))
}

fn upstream(upstream: &Upstream) -> String {
    let mut rows: Vec<Row> = upstream
        .targets
        .iter()
        .map(|target| {
            row([
                "target",
                &target.address,
                &format!("weight {}", target.weight),
                place(target.at.as_ref()),
            ])
        })
        .collect();
    rows.push(row(["balance", upstream.balance]));
    let Upstream {
        connect_timeout,
        read_timeout,
        write_timeout,
        ..
    } = upstream;
    let timeouts = format!("connect {connect_timeout}, read {read_timeout}, write {write_timeout}");
    rows.push(row(["timeouts", &timeouts]));
    let (name, at) = (&upstream.name, place(upstream.at.as_ref()));
    format!(
        "Forwarded to upstream {name}  {at}\n{}",
        table::lines(&rows, "  ")
    )
}

fn retry(repeats: &[Repeat]) -> String {
    let line = |repeat: &Repeat| match repeat.why {
        None => row(["✓", &repeat.on, "tried again"]),
        Some(why) => row(["·", &repeat.on, &format!("not tried again: {why}")]),
    };
    let rows: Vec<Row> = repeats.iter().map(line).collect();
    format!("If an attempt fails\n{}", table::lines(&rows, "  "))
}

fn change(change: &Change) -> String {
    let Change {
        name,
        before,
        after,
    } = change;
    let line = match (before, after) {
        (Some(before), Some(after)) => format!("  ~ {name}: {before} → {after}"),
        (Some(before), None) => format!("  - {name}: {before}"),
        (None, Some(after)) => format!("  + {name}: {after}"),
        (None, None) => return String::new(),
    };
    line.trim_end().to_owned() + "\n"
}
