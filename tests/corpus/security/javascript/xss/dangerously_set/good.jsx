import { useSearchParams } from 'react-router-dom';
import DOMPurify from 'dompurify';
export function Note() {
  const [params] = useSearchParams();
  const clean = DOMPurify.sanitize(params.get('note'));
  return <div title={params.get('note')} dangerouslySetInnerHTML={{ __html: clean }} />;
}
