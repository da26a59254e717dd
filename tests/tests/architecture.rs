//! The order of the library's modules, the fence around the engine and the ways, as `ARCHITECTURE.md` has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const SOURCE: &str = "carolina-sockets/src";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page() -> String {
    read(&root().join("ARCHITECTURE.md"))
}

/// The names of a section's list, in order: its lines are "- `name`: text".
fn listed(page: &str, section: &str) -> Vec<String> {
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section `{section}`"));
    let text = rest.split("\n## ").next().unwrap();
    let entries = text.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "));
    entries
        .map(|(name, why)| {
            assert!(!why.trim().is_empty(), "`{name}` in `{section}` says nothing");
            name.to_owned()
        })
        .collect()
}

/// A path that starts at the crate's root, or a bare name of a crate, and where it stands.
#[derive(Debug)]
struct Import {
    path: Vec<String>,
    line: usize,
}

/// What a file imports: every path in it from the crate's root, in `use` or elsewhere, without tests.
struct Reader {
    imports: Vec<Import>,
    /// Every identifier with its line, to find crates by their names.
    words: Vec<(String, usize)>,
    /// The files of `#[cfg(test)] mod name;`.
    test_modules: Vec<Vec<String>>,
}

impl Reader {
    fn read(text: &str, module: &[String], shown: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut this = Self { imports: Vec::new(), words: Vec::new(), test_modules: Vec::new() };
        this.walk(tokens, module);
        this
    }

    /// Macros are exported from the root of a crate, wherever they stand.
    fn exported_macros(&self) -> impl Iterator<Item = &str> {
        self.words.windows(3).filter_map(|words| match [&words[0].0, &words[1].0, &words[2].0].map(String::as_str) {
            ["macro_export", "macro_rules", name] => Some(name),
            _ => None,
        })
    }

    fn walk(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_test_attribute(&tokens[at..]) {
                at = self.skip_item(&tokens, at + 2, module);
                continue;
            }
            match &tokens[at] {
                TokenTree::Ident(word) if is_start(&tokens, at) => {
                    let (name, line) = (word.to_string(), word.span().start().line);
                    let base = match name.as_str() {
                        "crate" | "carolina_sockets" => Some(Vec::new()),
                        "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
                        "self" => Some(module.to_vec()),
                        _ => None,
                    };
                    if name == "mod"
                        && let [TokenTree::Ident(inner), TokenTree::Group(body)] =
                            &tokens[at + 1..(at + 3).min(tokens.len())]
                    {
                        self.walk(body.stream(), &[module, &[inner.to_string()]].concat());
                        at += 3;
                        continue;
                    }
                    if let Some(base) = base.filter(|_| is_path_separator(&tokens, at + 1)) {
                        self.path(&tokens, at + 3, base, line);
                    }
                    self.words.push((name, line));
                }
                TokenTree::Ident(word) => self.words.push((word.to_string(), word.span().start().line)),
                TokenTree::Group(group) => self.walk(group.stream(), module),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// Follows a path from `at`, behind `::`. A group of names is as many paths.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, mut path: Vec<String>, line: usize) {
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(word)) if *word == "super" => {
                    path.pop();
                }
                Some(TokenTree::Ident(word)) if *word == "self" => {}
                Some(TokenTree::Ident(word)) => path.push(word.to_string()),
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => path.push("*".to_owned()),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
                    for one in inner.split(is_comma).filter(|one| !one.is_empty()) {
                        self.path(one, 0, path.clone(), one[0].span().start().line);
                    }
                    return;
                }
                _ => return,
            }
            if !is_path_separator(tokens, at + 1) {
                break;
            }
            at += 3;
        }
        self.imports.push(Import { path, line });
    }

    /// The place behind the item that begins at `at`, further attributes included.
    fn skip_item(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        for (behind, token) in tokens.iter().enumerate().skip(at) {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    // The names of a `use` are followed by its semicolon.
                    let ends = matches!(tokens.get(behind + 1), Some(TokenTree::Punct(mark)) if mark.as_char() == ';');
                    return behind + 1 + usize::from(ends);
                }
                TokenTree::Punct(mark) if mark.as_char() == ';' => {
                    if let [TokenTree::Ident(word), TokenTree::Ident(name)] = &tokens[behind - 2..behind]
                        && *word == "mod"
                    {
                        self.test_modules.push([module, &[name.to_string()]].concat());
                    }
                    return behind + 1;
                }
                _ => {}
            }
        }
        tokens.len()
    }
}

/// Whether a path may begin here: not behind `::`, unless that is the first thing of it.
fn is_start(tokens: &[TokenTree], at: usize) -> bool {
    at < 2 || !is_path_separator(tokens, at - 2) || !matches!(tokens.get(at.wrapping_sub(3)), Some(TokenTree::Ident(_)))
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(mark), TokenTree::Group(group), ..] = tokens else { return false };
    let text: String = group.stream().to_string().split_whitespace().collect();
    mark.as_char() == '#' && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// The library's source, without tests and programs.
struct Source {
    /// By its path below `carolina-sockets/src`.
    files: BTreeMap<String, Reader>,
    /// The names that `lib.rs` re-exports, and the modules that they are from.
    owners: BTreeMap<String, String>,
    modules: BTreeSet<String>,
}

impl Source {
    fn load() -> Self {
        let mut files = BTreeMap::new();
        collect(&root().join(SOURCE), "", &mut files);
        let tests: Vec<String> =
            files.values().flat_map(|file: &Reader| file.test_modules.iter().map(|module| module.join("/"))).collect();
        files.retain(|path, _| {
            !tests.iter().any(|test| *path == format!("{test}.rs") || path.starts_with(&format!("{test}/")))
        });
        let modules: BTreeSet<String> =
            files.keys().map(|path| top(path).to_owned()).filter(|name| name != "lib").collect();
        let mut owners = re_exports(&read(&root().join(SOURCE).join("lib.rs")), &modules);
        for (path, file) in &files {
            owners.extend(file.exported_macros().map(|name| (name.to_owned(), top(path).to_owned())));
        }
        Self { files, owners, modules }
    }
}

fn collect(folder: &Path, below: &str, files: &mut BTreeMap<String, Reader>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}{name}");
        if entry.file_type().unwrap().is_dir() {
            // Programs are crates of their own.
            if path != "bin" {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if let Some(module) = path.strip_suffix(".rs") {
            let module = module.strip_suffix("/mod").unwrap_or(module);
            let module: Vec<String> = module.split('/').filter(|name| *name != "lib").map(str::to_owned).collect();
            let reader = Reader::read(&read(&entry.path()), &module, &path);
            files.insert(path, reader);
        }
    }
}

/// The module that a file belongs to: its first folder, or its own name.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The public names of `pub use module::…` in `lib.rs`.
fn re_exports(lib: &str, modules: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for line in lib.split(';').filter_map(|statement| statement.rsplit_once("pub use ").map(|(_, rest)| rest)) {
        let words: Vec<&str> = line.split(|mark: char| !mark.is_alphanumeric() && mark != '_').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if let Some((module, names)) = words.split_first().filter(|(module, _)| modules.contains(**module)) {
            owners.extend(names.iter().map(|name| ((*name).to_owned(), (*module).to_owned())));
        }
    }
    owners
}

#[test]
fn every_module_has_its_place() {
    let listed = listed(&page(), "The house");
    let names: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(names.len(), listed.len(), "a module is listed twice in ARCHITECTURE.md");
    let source = Source::load();
    let missing: Vec<_> = source.modules.difference(&names).collect();
    let gone: Vec<_> = names.difference(&source.modules).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "the house in ARCHITECTURE.md lacks {missing:?}, and lists {gone:?}, which {SOURCE} has not"
    );
}

#[test]
fn modules_import_only_from_those_above_them() {
    let order = listed(&page(), "The house");
    let place = |module: &str| order.iter().position(|listed| listed == module);
    let source = Source::load();
    let (mut broken, mut checked) = (Vec::new(), 0);
    for (path, file) in source.files.iter().filter(|(path, _)| *path != "lib.rs") {
        let module = top(path);
        for import in &file.imports {
            let Some(name) = import.path.first() else { continue };
            let owner = if source.modules.contains(name) { Some(name) } else { source.owners.get(name) };
            let shown = format!("{SOURCE}/{path}:{}: `crate::{}`", import.line, import.path.join("::"));
            match owner {
                Some(owner) if owner == module => {}
                Some(owner) if place(owner) < place(module) && place(owner).is_some() => checked += 1,
                Some(owner) => broken.push(format!(
                    "{shown} is from `{owner}`, which is not above `{module}`: a module imports only from those above it (ARCHITECTURE.md, The house)"
                )),
                // `channel`, `on` and `emits`, the attributes, are of the macros' crate.
                None if matches!(name.as_str(), "on" | "emits") => {}
                None => broken.push(format!(
                    "{shown} belongs to no module: `lib.rs` has re-exports only (ARCHITECTURE.md, The house)"
                )),
            }
        }
    }
    assert!(broken.is_empty(), "{} imports against the order:\n{}", broken.len(), broken.join("\n"));
    assert!(checked > 100, "only {checked} imports were found: they are not read as they are written");
}

#[test]
fn socketioxide_is_named_behind_the_fence_only() {
    let exceptions = listed(&page(), "The fence");
    assert!(exceptions.len() <= 3, "{} files are excepted from the fence, three may be", exceptions.len());
    let (mut broken, mut used) = (Vec::new(), BTreeSet::new());
    for (path, file) in Source::load().files {
        let is_engine = |word: &str| word.starts_with("socketioxide") || word.starts_with("engineioxide");
        let Some((word, line)) = file.words.iter().find(|(word, _)| is_engine(word)) else { continue };
        if exceptions.contains(&path) {
            used.insert(path);
        } else if !matches!(top(&path), "engine" | "backplane") {
            broken.push(format!(
                "{SOURCE}/{path}:{line}: `{word}` is named outside of engine/ and backplane/ (ARCHITECTURE.md, The fence)"
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let unused: Vec<_> = exceptions.iter().filter(|path| !used.contains(*path)).collect();
    assert!(unused.is_empty(), "exceptions from the fence that are not needed: {unused:?}");
}

#[test]
fn the_ways_name_functions_that_exist_and_enter_no_module_twice() {
    let page = page();
    let (mut broken, mut rows) = (Vec::new(), 0);
    let mut way: Vec<String> = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", file, function, _, ""] = cells[..] else {
            way.clear();
            continue;
        };
        let (Some(file), Some(function)) = (quoted(file), quoted(function)) else { continue };
        rows += 1;
        let is_macro = file.starts_with("carolina-sockets-macros/");
        let path = if is_macro { root().join(file) } else { root().join(SOURCE).join(file) };
        let text = fs::read_to_string(path).unwrap_or_default();
        let (owner, name) = function.rsplit_once("::").unwrap_or(("", function));
        let declared = [format!("fn {name}("), format!("fn {name}<")].iter().any(|text_of| text.contains(text_of));
        if !declared || !text.contains(owner) {
            broken.push(format!("ARCHITECTURE.md:{}: {file} has no `{function}`", number + 1));
        }
        let module = if is_macro { "carolina-sockets-macros" } else { top(file) };
        if way.last().is_some_and(|last| last != module) && way.iter().any(|before| before == module) {
            broken.push(format!("ARCHITECTURE.md:{}: this way enters `{module}` a second time", number + 1));
        }
        way.push(module.to_owned());
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(rows > 20, "only {rows} rows were found");
}

fn quoted(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}
