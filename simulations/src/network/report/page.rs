//! Pages and what they are made of. The only place where text becomes markup.

use core::fmt::Write as _;

use super::super::units::Unit;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A whole page.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
        <meta name=\"color-scheme\" content=\"light\"/>\n<title>{}</title>\n\
        <style>{STYLE}</style></head>\n<body><main>\n{body}</main>\n\
        <script>{SCRIPT}</script></body></html>\n",
        escaped(title)
    )
}

/// A section with its heading. `body` is markup.
pub(super) fn section(id: &str, heading: &str, body: &str) -> String {
    format!("<section id=\"{id}\"><h2>{}</h2>\n{body}</section>\n", escaped(heading))
}

/// A paragraph of text.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// What is there when it is opened. `body` is markup.
pub(super) fn folded(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n{body}</details>\n", escaped(summary))
}

/// Text, safe between tags and in attributes. What no XML may hold becomes a space.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push(' '),
            _ if character.is_control() && character != '\n' => safe.push(' '),
            _ => safe.push(character),
        }
    }
    safe
}

/// Data for the script, as JSON that no markup can be hidden in.
pub(super) fn data(id: &str, value: &serde_json::Value) -> String {
    let mut safe = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{fffe}' | '\u{ffff}' | '\u{7f}'..='\u{9f}' => {
                // Writing to a String cannot fail.
                let _written = write!(safe, "\\u{:04x}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    format!("<script type=\"application/json\" id=\"{id}\">{safe}</script>\n")
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    /// Words.
    Text(String),
    /// A figure, sorted by its value; none is told by the word, and sorted as the largest.
    Figure(Unit, Option<u64>, &'static str),
    /// A figure with a bar beside it: how long, of the largest.
    Bar(Unit, u64, u64),
    /// Words that are sorted by a value.
    Told(u64, String),
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) const fn of(unit: Unit, value: u64) -> Self {
        Self::Figure(unit, Some(value), "")
    }

    pub(super) const fn count(value: u64) -> Self {
        Self::of(Unit::Count, value)
    }

    const fn is_figure(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    fn markup(&self) -> String {
        match self {
            Self::Text(text) => format!("<td>{}</td>", escaped(text)),
            Self::Figure(unit, value, none) => {
                let told = value.map_or_else(|| (*none).to_owned(), |value| unit.show(value));
                let key = value.map_or_else(|| "Infinity".to_owned(), |value| value.to_string());
                format!("<td class=\"n\" data-v=\"{key}\">{}</td>", escaped(&told))
            }
            Self::Told(value, told) => {
                format!("<td class=\"n\" data-v=\"{value}\">{}</td>", escaped(told))
            }
            Self::Bar(unit, value, most) => {
                let share = value.saturating_mul(100) / most.max(&1);
                format!(
                    "<td class=\"n\" data-v=\"{value}\"><span class=\"bar\" \
                    style=\"--share:{share}\"></span>{}</td>",
                    escaped(&unit.show(*value))
                )
            }
        }
    }
}

/// Rows under headings; a click on a heading sorts, where there is JavaScript.
pub(super) fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let figures =
        |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(Cell::is_figure);
    let mut text = "<div class=\"wide\"><table><thead><tr>".to_owned();
    for (column, heading) in head.iter().enumerate() {
        let class = if figures(column) { " class=\"n\"" } else { "" };
        let _written = write!(text, "<th{class} scope=\"col\">{}</th>", escaped(heading));
    }
    text.push_str("</tr></thead><tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        text.extend(row.iter().map(Cell::markup));
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// A coordinate of a picture, to a tenth.
pub(super) fn at(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_tables_is_text() {
        let mean = "<script>alert('x')</script> & \"\u{0}";
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot; ";
        assert_eq!(escaped(mean), safe);
        let told = table(&[mean], &[vec![Cell::text(mean)]]);
        assert!(told.contains(safe) && !told.contains("<script"), "{told}");
        let data = data("x", &serde_json::json!(["</script><b>&"]));
        assert!(data.contains("\\u003c/script\\u003e\\u003cb\\u003e\\u0026"), "{data}");
    }
}
