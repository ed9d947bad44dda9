//! bcp(7), Commands, is rendered from the table. A stale page is rewritten and fails the test, so running it a second
//! time and committing updates it; if `CI` is set, the test only fails.

use std::path::Path;

use super::*;

fn rendered() -> String {
    let mut page = String::from(".Ss Commands\n");
    page += "P marks what the pin controller sends, M what the media controller or another\nclient sends.\n";
    page += "Of values the page says what MPF needs, where MPF acts on the command.\n.Bl -tag -width Ds\n";
    for entry in COMMANDS {
        let from = match entry.from {
            SentBy::Pin => "P",
            SentBy::Media => "M",
            SentBy::Both => "P, M",
        };
        page += &format!(".It Ic {} Pq {from}\n", entry.name);
        page += &parameters("Required:", entry.parameters.iter().filter(|parameter| parameter.required));
        page += &parameters("Optional:", entry.parameters.iter().filter(|parameter| !parameter.required));
        match entry.accepted {
            Acceptance::No => {}
            Acceptance::Closed if entry.parameters.is_empty() => page += "Any parameter or payload ends MPF.\n",
            Acceptance::Closed => page += "Any other parameter and any payload ends MPF.\n",
            Acceptance::Open(reserved) => page += &format!("A parameter named {} ends MPF.\n", reserved.join(" or ")),
        }
        if entry.needs_payload {
            page += "A payload is required.\n";
        }
        match entry.name {
            "monitor_start" => page += &format!("Categories:\n{}.\n", CATEGORIES.join(",\n")),
            "service" => {
                page += &format!("Subcommands:\n{}.\n", SUBCOMMANDS.join(",\n"));
                page += "The reply is a command named as the subcommand; to stop it is service_stop, to start\n";
                page += "there is none.\n";
            }
            _ => {}
        }
        if !entry.replies.is_empty() {
            let replies: Vec<String> = entry.replies.iter().map(|name| format!(".Ic {name}")).collect();
            page += &format!("Reply:\n{} .\n", replies.join("\nor\n"));
        }
    }
    page += ".El\n.Pp\nOnly old peers and documents know\n";
    let historical: Vec<String> = HISTORICAL.iter().map(|name| format!(".Ic {name}")).collect();
    page + &historical.join(" ,\n") + " .\n"
}

/// Renders parameters of a command as roff.
fn parameters<'p>(opening: &str, list: impl Iterator<Item = &'p Parameter>) -> String {
    let list: Vec<String> =
        list.map(|p| format!(".Va {}\n({})", p.name, p.param_type.description().replace('-', "\\-"))).collect();
    if list.is_empty() { String::new() } else { format!("{opening}\n{}.\n", list.join(",\n")) }
}

#[test]
fn manual_page_lists_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/bcp.7");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (".\\\" BEGIN COMMANDS\n", ".\\\" END COMMANDS\n");
    let (before, rest) = page.split_once(begin).expect("the table has a place");
    let (_, after) = rest.split_once(end).expect("the table has an end");
    let expected = format!("{before}{begin}{}{end}{after}", rendered());
    if page != expected && std::env::var_os("CI").is_none() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(page == expected, "bcp.7 is stale, and rewritten unless CI is set: run again and commit");
}
