import { useSearchParams } from 'react-router-dom';
export function Note() {
  const [params] = useSearchParams();
  return <div dangerouslySetInnerHTML={{ __html: params.get('note') }} />; // expect: xss
}
