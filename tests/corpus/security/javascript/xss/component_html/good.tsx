const STYLES = '.a { color: red }';
export function Article({ html }: { html: string }) {
  return <article><style dangerouslySetInnerHTML={{ __html: STYLES }} />{html}</article>;
}
