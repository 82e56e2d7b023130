/**
 * Each calls `stowage __complete WORDS...` with the word under the cursor last, and gets a candidate a line, with a tab and
 * a description behind it; `:file` alone asks for names of files.
 */
export const SCRIPTS: Readonly<Record<string, string>> = {
  // Bash breaks words at colons, which references are full of: what stands before the last one is taken off again.
  bash: `# bash completion for stowage
_stowage() {
  local line=\${COMP_LINE:0:COMP_POINT} words candidate current
  read -r -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=\${words[\${#words[@]}-1]}
  local prefix=
  [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && prefix=\${current%"\${current##*:}"}
  [[ $COMP_WORDBREAKS == *=* && $current == -*=* ]] && prefix=\${current%%=*}=
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    if [[ $candidate == :file ]]; then
      local file
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "\${current#"$prefix"}")
      compopt -o filenames 2>/dev/null
    elif [[ $candidate == "$current"* ]]; then
      COMPREPLY+=("\${candidate#"$prefix"}")
    fi
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _stowage stowage
`,
  zsh: `#compdef stowage
_stowage() {
  local -a candidates
  local line
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :file ]]; then
      _files
    elif [[ -n $line ]]; then
      candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${(M)line%$'\\t'*}:+:\${line#*$'\\t'}}")
    fi
  done
  (( \${#candidates} )) && _describe -V stowage candidates
}
if [[ $funcstack[1] == _stowage ]]; then _stowage "$@"; else compdef _stowage stowage; fi
`,
  fish: `# fish completion for stowage
function __stowage_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$line" = ":file"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c stowage -f -a '(__stowage_complete)'
`,
};
